"""Stand-ins for the definition's secrets: encrypted files, and the items of 1Password.

The lab has no key to the originals and needs none. In encrypted files, key names stay, values
become stand-ins, and the real sops encrypts them to the lab's own AGE key. In 1Password, each
reference of `secrets.yaml.tpl` gets an item and a field; the name of the Secret's key determines
the value.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from firstlight.errors import TargetError
from firstlight.files import write_atomically
from firstlight.process import run
from lab.simulated import workstation
from lab.simulated.addresses import Endpoints
from lab.simulated.paths import LabPaths
from lab.simulated.vault import changing

SUFFIX = ".sops.yaml"
STAND_IN_PREFIX = "standin-"
TALOS_SECRETS = "talsecret.sops.yaml"

_SOPS_S = 30.0
_TALOSCTL_S = 60.0
_ENCRYPTED = re.compile(r"ENC\[AES256_GCM,.*type:(?P<type>\w+)\]", re.DOTALL)


def is_sealed(path: Path) -> bool:
    """Report whether a file is encrypted with sops. sops's own settings only look like one."""
    return path.name.endswith(SUFFIX) and path.name != SUFFIX


def stand_in(
    path: Path, text: str, *, cluster: str, talos_version: str, environment: Mapping[str, str]
) -> str:
    """Return the plain text of an encrypted file in the lab. Never write it to disk as it is.

    Only the lab's own cluster has machines, so only its Talos secrets must be real.

    Raises:
        TargetError: The file is not encrypted.
        ToolFailed: talosctl did not generate the secrets of a cluster.
    """
    if path.name == TALOS_SECRETS and path.parts[1] == cluster:
        words = [
            "talosctl",
            "gen",
            "secrets",
            "--output-file",
            "-",
            "--talos-version",
            talos_version,
        ]
        result = run(words, timeout_s=_TALOSCTL_S, env=environment)
        return result.raise_on_failure(f"generate the secrets for {path}").stdout
    documents = list(yaml.safe_load_all(text))
    if any(not isinstance(document, dict) or "sops" not in document for document in documents):
        raise TargetError(
            f"cannot copy {path}: it is not encrypted",
            next_step=f"sops encrypt --in-place {shlex.quote(str(path))}, "
            "and rotate every secret that was in it",
        )
    for document in documents:
        document.pop("sops")
    return yaml.safe_dump_all([_replaced(document, ()) for document in documents], sort_keys=False)


def encrypt(path: Path, plain: str, *, tree: Path, environment: Mapping[str, str]) -> str:
    """Return a text encrypted by the rules of the tree's `.sops.yaml` for that path.

    Raises:
        ToolFailed: sops refused.
    """
    words = [
        "sops",
        "encrypt",
        "--filename-override",
        str(path),
        "--input-type",
        "yaml",
        "--output-type",
        "yaml",
        "/dev/stdin",
    ]
    result = run(words, timeout_s=_SOPS_S, input=plain, env=environment, cwd=tree)
    return result.raise_on_failure(f"encrypt {path}").stdout


def _replaced(value: Any, where: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(entry, (*where, str(key))) for key, entry in value.items()}
    if isinstance(value, list):
        return [_replaced(entry, where) for entry in value]
    match = _ENCRYPTED.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    if match["type"] == "bool":
        return True
    if match["type"] in {"int", "float"}:
        return secrets.randbelow(10**6)
    text = STAND_IN_PREFIX + secrets.token_hex(16)
    # Values under `data` of a Secret are always base64.
    return base64.b64encode(text.encode()).decode() if where[:1] == ("data",) else text


_REFERENCE = re.compile(
    r"op://(?P<vault>[\w.\- ]+)/(?P<item>[\w.\- ]+)"
    r"(?:/(?P<section>[\w.\- ]+))?/(?P<field>[\w.\- ]+)"
)
_ENCLOSED = re.compile(r"\{\{\s*(op://[^}]*?)\s*\}\}")
DEPLOY_KEY_FIELDS = ("identity", "identity.pub", "known_hosts")


@dataclass(frozen=True, slots=True)
class Place:
    """A reference and its position in the template.

    Attributes:
        reference: The parsed reference.
        key: The key of the Secret that it fills; empty outside a Secret.
        base64: Whether the value must be base64.
    """

    reference: re.Match[str]
    key: str
    base64: bool


def fill_vault(paths: LabPaths, template: str, lab: Endpoints) -> int:
    """Store a value for every reference of the checkout's template; return how many were new.

    Each reference is filled once in the lab's life. Later changes and removals stay, and a
    reference that exists only in the lab's tree does not resolve: 1Password does not create items
    by itself.
    """
    noted = paths.state / "vault-filled.json"
    filled = set(json.loads(noted.read_text(encoding="utf-8"))) if noted.exists() else set()
    new = [place for place in places(template) if place.reference.group() not in filled]
    if not new:
        return 0
    deploy_key: dict[str, str] = {}
    with changing(paths.vault, workstation.vault_key(paths)) as account:
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
    write_atomically(
        noted,
        json.dumps(sorted(filled | {place.reference.group() for place in new}), indent=2) + "\n",
        mode=0o644,
    )
    return len(new)


def places(template: str) -> Iterator[Place]:
    """Yield every reference of a template with its position.

    Raises:
        TargetError: The template is not valid YAML.
    """
    try:
        documents = list(yaml.safe_load_all(_ENCLOSED.sub(r"\1", template)))
    except yaml.YAMLError as error:
        raise TargetError(
            f"cannot fill the vault: secrets.yaml.tpl is not valid YAML: {error}",
            next_step="fix the template",
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
        parts = {"data", "stringData"}
        in_secret = is_secret and len(where) == 2 and where[0] in parts  # noqa: PLR2004 - data, key
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
        return workstation.age_key(paths)
    return STAND_IN_PREFIX + secrets.token_hex(16)


def _new_deploy_key(paths: LabPaths, lab: Endpoints) -> Mapping[str, str]:
    made = workstation.new_deploy_key(f"flux@{paths.cluster}")
    workstation.register(
        paths.git / "deploy-keys.json",
        workstation.READ_ONLY_TITLE,
        made.public,
        read_only=True,
    )
    known_hosts = f"{lab.known_host} {workstation.host_key(paths.git / 'host_key')}\n"
    return {
        "identity": made.identity,
        "identity.pub": made.public + "\n",
        "known_hosts": known_hosts,
    }
