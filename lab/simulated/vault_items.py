"""What the operator's 1Password would hold: an item and a field for every reference of the definition.

What a reference stands for is told by where it stands in `secrets.yaml.tpl`: the name of the Secret's key says which secret it is.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from firstlight.errors import TargetError
from lab.simulated import keys
from lab.simulated.addresses import Endpoints
from lab.simulated.paths import LabPaths, write_atomic
from lab.simulated.sealed import STAND_IN_PREFIX
from lab.simulated.vault import changing

_REFERENCE = re.compile(
    r"op://(?P<vault>[\w.\- ]+)/(?P<item>[\w.\- ]+)(?:/(?P<section>[\w.\- ]+))?/(?P<field>[\w.\- ]+)"
)
_ENCLOSED = re.compile(r"\{\{\s*(op://[^}]*?)\s*\}\}")
DEPLOY_KEY_FIELDS = ("identity", "identity.pub", "known_hosts")


@dataclass(frozen=True, slots=True)
class Place:
    """A reference and where it stands.

    Attributes:
        reference: The reference, taken apart.
        key: The name of the Secret's key that it fills, empty outside a Secret.
        base64: Whether the value there must be base64.
    """

    reference: re.Match[str]
    key: str
    base64: bool


def fill(paths: LabPaths, template: str, lab: Endpoints) -> int:
    """Put a value behind every reference of the checkout's template, and return how many were new.

    Each is filled once in the lab's life. What somebody changes or removes afterwards stays so, and a reference that only the
    lab's tree has does not resolve: 1Password does not make items by itself either.
    """
    noted = paths.state / "vault-filled.json"
    filled = set(json.loads(noted.read_text(encoding="utf-8"))) if noted.exists() else set()
    new = [place for place in places(template) if place.reference.group() not in filled]
    if not new:
        return 0
    deploy_key: dict[str, str] = {}
    with changing(paths.vault, keys.vault_key(paths)) as account:
        for place in new:
            value = _value(place.key, paths, lab, deploy_key)
            if place.base64:
                value = base64.b64encode(value.encode()).decode()
            reference = place.reference
            account.store(
                reference["vault"],
                reference["item"],
                reference["section"] or "",
                reference["field"],
                value,
            )
    write_atomic(
        noted,
        json.dumps(sorted(filled | {place.reference.group() for place in new}), indent=2) + "\n",
    )
    return len(new)


def places(template: str) -> Iterator[Place]:
    """Yield every reference of a template with its place.

    Raises:
        TargetError: The template is no YAML.
    """
    try:
        documents = list(yaml.safe_load_all(_ENCLOSED.sub(r"\1", template)))
    except yaml.YAMLError as error:
        raise TargetError(
            f"cannot fill the vault: secrets.yaml.tpl is no valid YAML: {error}",
            next_step="mend the template",
        ) from error
    for document in documents:
        if isinstance(document, dict):
            yield from _walk(document, (), is_secret=document.get("kind") == "Secret")


def _walk(value: Any, where: tuple[str, ...], *, is_secret: bool) -> Iterator[Place]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _walk(entry, (*where, str(key)), is_secret=is_secret)
    elif isinstance(value, list):
        for entry in value:
            yield from _walk(entry, where, is_secret=is_secret)
    elif isinstance(value, str):
        in_secret = is_secret and len(where) == 2 and where[0] in {"data", "stringData"}  # noqa: PLR2004 - data and the key
        for reference in _REFERENCE.finditer(value):
            yield Place(
                reference, where[1] if in_secret else "", base64=in_secret and where[0] == "data"
            )


def _value(key: str, paths: LabPaths, lab: Endpoints, deploy_key: dict[str, str]) -> str:
    if key in DEPLOY_KEY_FIELDS:
        if not deploy_key:
            deploy_key.update(_new_deploy_key(paths, lab))
        return deploy_key[key]
    if key.endswith(".agekey"):
        return keys.age_key(paths)
    return STAND_IN_PREFIX + secrets.token_hex(16)


def _new_deploy_key(paths: LabPaths, lab: Endpoints) -> Mapping[str, str]:
    made = keys.new_deploy_key(f"flux@{paths.cluster}")
    keys.register(paths.git / "deploy-keys.json", keys.READ_ONLY_TITLE, made.public, read_only=True)
    known_hosts = f"{lab.known_host} {keys.host_key(paths.git / 'host_key')}\n"
    return {
        "identity": made.identity,
        "identity.pub": made.public + "\n",
        "known_hosts": known_hosts,
    }
