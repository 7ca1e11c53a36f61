"""The encrypted file behind the `op` stand-in: vaults, items, fields and documents.

Only what `op` needs is imported here, because each `op` call pays for it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import TYPE_CHECKING

from pyrage import decrypt, encrypt, x25519

if TYPE_CHECKING:
    from collections.abc import Iterator

_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_ID_LENGTH = 26


def new_id() -> str:
    """Return an identifier of the form that 1Password gives to vaults and items."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))


@dataclass(slots=True)
class Field:
    """A field of an item; `section` is empty for a field without one."""

    label: str
    value: str
    section: str = ""


@dataclass(slots=True)
class Item:
    """An item; a document is an item whose `file_name` is set."""

    title: str
    id: str = field(default_factory=new_id)
    category: str = "SECURE_NOTE"
    version: int = 1
    fields: list[Field] = field(default_factory=list)
    file_name: str = ""
    content: str = ""

    def matches(self, name: str) -> bool:
        """Whether this item goes by that name or identifier; names ignore case, as they do in references."""
        return name == self.id or name.casefold() == self.title.casefold()

    def value(self, section: str | None, label: str) -> str | None:
        """Return what a reference's last part stands for: a field's value, or a file's content."""
        for entry in self.fields:
            same_section = section is None or entry.section.casefold() == section.casefold()
            if same_section and entry.label.casefold() == label.casefold():
                return entry.value
        if self.file_name and section is None and label.casefold() == self.file_name.casefold():
            return self.content
        return None


@dataclass(slots=True)
class Vault:
    """A vault; two items may have the same title, as in 1Password."""

    name: str
    id: str = field(default_factory=new_id)
    items: list[Item] = field(default_factory=list)

    def matches(self, name: str) -> bool:
        """Whether this vault goes by that name or identifier."""
        return name == self.id or name.casefold() == self.name.casefold()

    def find(self, name: str) -> list[Item]:
        """Return every item of that name."""
        return [item for item in self.items if item.matches(name)]


@dataclass(slots=True)
class Account:
    """Everything that is in the file."""

    vaults: list[Vault] = field(default_factory=list)

    def vault(self, name: str) -> Vault | None:
        """Return the vault of that name, if there is one."""
        return next((vault for vault in self.vaults if vault.matches(name)), None)

    def store(self, vault_name: str, title: str, section: str, label: str, value: str) -> None:
        """Set a field, making its vault and its item if they are not there."""
        vault = self.vault(vault_name)
        if vault is None:
            vault = Vault(vault_name)
            self.vaults.append(vault)
        item = next(iter(vault.find(title)), None)
        if item is None:
            item = Item(title)
            vault.items.append(item)
        for entry in item.fields:
            if (entry.section, entry.label) == (section, label):
                entry.value = value
                return
        item.fields.append(Field(label, value, section))


def read_account(path: Path, key: str) -> Account:
    """Decrypt the file; without a file, the account is empty."""
    if not path.exists():
        return Account()
    data = json.loads(decrypt(path.read_bytes(), [x25519.Identity.from_str(key)]))
    return Account(
        [
            Vault(
                vault["name"],
                vault["id"],
                [
                    Item(**{**item, "fields": [Field(**entry) for entry in item["fields"]]})
                    for item in vault["items"]
                ],
            )
            for vault in data["vaults"]
        ]
    )


def write_account(path: Path, key: str, account: Account) -> None:
    """Encrypt the account into the file, whole or not at all."""
    sealed = encrypt(
        json.dumps(asdict(account)).encode(), [x25519.Identity.from_str(key).to_public()]
    )
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(sealed)
    fresh.replace(path)


@contextmanager
def changing(path: Path, key: str) -> Iterator[Account]:
    """Read, let the caller change, write: one at a time."""
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        account = read_account(path, key)
        yield account
        write_account(path, key, account)


PREFIX = "op://"
_NAME = re.compile(r"[A-Za-z0-9\-_. ]+")

# A template is read from left to right: what is in braces goes first, then bare references, then variables.
_TEMPLATE = re.compile(
    r"\{\{\s*\"(?P<literal>(?:[^\"\\]|\\.)*)\"\s*\}\}"
    r"|\{\{\s*(?P<enclosed>op://[A-Za-z0-9\-?_./ ]*?)\s*\}\}"
    r"|(?<![A-Za-z0-9\-+\\.])(?P<bare>op://[A-Za-z0-9\-?_./]*)"
)
_VARIABLE = re.compile(
    r"\$\{\s*(?P<enclosed>[A-Za-z_]\w*)\s*(?::-(?P<default>[^}]*))?\}|\$(?P<bare>[A-Za-z_]\w*)"
)


class Refused(Exception):
    """`op` would say no; the text is what it would say."""


def resolve_for_read(account: Account, reference: str) -> str:
    """Return what `op read` prints for a reference."""
    try:
        return _resolved(
            account, reference, "could not get item {vault_name}/{item_name}: {missing}"
        )
    except Refused as refusal:
        raise Refused(f"could not read secret '{reference}': {refusal}") from None


def resolve_for_inject(account: Account, reference: str) -> str:
    """Return what `op inject` puts in a reference's place."""
    return _resolved(
        account,
        reference,
        "could not resolve item UUID for item {item_name}: could not find item {item_name} in vault {vault_id}",
    )


def render(template: str, resolve: Callable[[str], str], environment: Mapping[str, str]) -> str:
    """Return a template with every variable and every reference replaced; references in comments count as well."""

    def replace(match: re.Match[str]) -> str:
        if match["literal"] is not None:
            return match["literal"].replace('\\"', '"')
        return resolve(match["enclosed"] or match["bare"])

    return _TEMPLATE.sub(replace, _with_variables(template, environment))


def one_item(vault: Vault, name: str) -> Item:
    """Return the item of that name, or refuse as `op item get` and `op document get` do."""
    found = vault.find(name)
    if not found:
        raise Refused(
            f'"{name}" isn\'t an item in the "{vault.name}" vault. Specify the item with its UUID, name, or domain.'
        )
    if len(found) > 1:
        listing = "".join(
            f'\n\t* for the item "{item.title}" in vault {vault.name}: {item.id}' for item in found
        )
        raise Refused(
            f'More than one item matches "{name}". Try again and specify the item by its ID:{listing}'
        )
    return found[0]


def _resolved(account: Account, reference: str, no_item: str) -> str:
    vault_name, item_name, section, label = _parts(reference)
    vault = account.vault(vault_name)
    if vault is None:
        raise Refused(
            f'"{vault_name}" isn\'t a vault in this account. Specify the vault with its ID or name.'
        )
    if not vault.find(item_name):
        missing = f'"{item_name}" isn\'t an item in the "{vault_name}" vault. Specify the item with its UUID, name, or domain.'
        raise Refused(
            no_item.format(
                vault_name=vault_name, item_name=item_name, vault_id=vault.id, missing=missing
            )
        )
    value = one_item(vault, item_name).value(section, label)
    if value is None:
        field = label if section is None else f"{section}.{label}"
        raise Refused(f"item '{vault_name}/{item_name}' does not have a field '{field}'")
    return value


def _parts(reference: str) -> tuple[str, str, str | None, str]:
    if not reference.startswith(PREFIX):
        raise Refused(
            f"invalid secret reference '{reference}': secret reference is not prefixed with \"op://\""
        )
    parts = reference.removeprefix(PREFIX).split("/")
    for character in reference.removeprefix(PREFIX):
        if character not in "/?=" and not _NAME.fullmatch(character):
            raise Refused(
                f"invalid secret reference '{reference}': invalid character in secret reference: '{character}'"
            )
    if len(parts) < 3 or not all(parts):  # noqa: PLR2004 - vault, item, field
        few = "too few '/': secret references should have at least vault, item and field specified"
        raise Refused(f"invalid secret reference '{reference}': {few}")
    if len(parts) > 4:  # noqa: PLR2004 - vault, item, section, field
        raise Refused(
            f"invalid secret reference '{reference}': too many '/': secret references can only have up to four parts"
        )
    section = parts[2] if len(parts) == 4 else None  # noqa: PLR2004
    return parts[0], parts[1], section, parts[-1]


def _with_variables(template: str, environment: Mapping[str, str]) -> str:
    # Names of variables ignore case in templates.
    known = {name.casefold(): value for name, value in environment.items()}

    def replace(match: re.Match[str]) -> str:
        name = match["enclosed"] or match["bare"]
        value = known.get(name.casefold(), match["default"])
        if value is None:
            # What `op` says here is not on record; that it fails is.
            raise Refused(f"could not resolve variable '{name}': it is not set in the environment")
        return value

    return _VARIABLE.sub(replace, template)
