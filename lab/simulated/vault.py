"""The encrypted file behind the `op` stand-in: vaults, items, fields, and how references resolve.

Refusals have the texts of `op` 2.34 and 2.39, so that error classification cannot tell the stand-in
from the real command. Imports are limited to what `op` needs, because every `op` call pays for
them.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pyrage import decrypt, encrypt, x25519

from firstlight.files import write_atomically
from firstlight.lock import locked
from lab.simulated.paths import LOCK_WAIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_ID_LENGTH = 26


def new_id() -> str:
    """Return an id in the format of 1Password's vaults and items."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))


@dataclass(slots=True)
class Field:
    """A field of an item. `section` is empty for a field without a section."""

    label: str
    value: str
    section: str = ""


@dataclass(slots=True)
class Item:
    """An item. A document is an item with a `file_name`."""

    title: str
    id: str = field(default_factory=new_id)
    category: str = "SECURE_NOTE"
    version: int = 1
    fields: list[Field] = field(default_factory=list)
    file_name: str = ""
    content: str = ""

    def matches(self, name: str) -> bool:
        """Report whether this item has that title or id. Titles ignore case, as in references."""
        return name == self.id or name.casefold() == self.title.casefold()

    def value(self, section: str | None, label: str) -> str | None:
        """Return what the last part of a reference names: a field's value or a file's content."""
        for entry in self.fields:
            same_section = section is None or entry.section.casefold() == section.casefold()
            if same_section and entry.label.casefold() == label.casefold():
                return entry.value
        if self.file_name and section is None and label.casefold() == self.file_name.casefold():
            return self.content
        return None


@dataclass(slots=True)
class Vault:
    """A vault. Two items may have the same title, as in 1Password."""

    name: str
    id: str = field(default_factory=new_id)
    items: list[Item] = field(default_factory=list)

    def matches(self, name: str) -> bool:
        """Report whether this vault has that name or id."""
        return name == self.id or name.casefold() == self.name.casefold()

    def find(self, name: str) -> list[Item]:
        """Return every item of that name."""
        return [item for item in self.items if item.matches(name)]


@dataclass(slots=True)
class Account:
    """The content of the file."""

    vaults: list[Vault] = field(default_factory=list)

    def vault(self, name: str) -> Vault | None:
        """Return the vault of that name, or None."""
        return next((vault for vault in self.vaults if vault.matches(name)), None)

    def store(self, vault_name: str, title: str, section: str, label: str, value: str) -> None:
        """Set a field. Create its vault and item if they do not exist."""
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
    """Decrypt the file. Without a file, the account is empty."""
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
    """Encrypt the account into the file atomically."""
    sealed = encrypt(
        json.dumps(asdict(account)).encode(), [x25519.Identity.from_str(key).to_public()]
    )
    write_atomically(path, sealed)


@contextmanager
def changing(path: Path, key: str) -> Iterator[Account]:
    """Read the account, let the caller change it, and write it, one change at a time."""
    with locked(path.with_name(f"{path.name}.lock"), wait_s=LOCK_WAIT_S):
        account = read_account(path, key)
        yield account
        write_account(path, key, account)


PREFIX = "op://"
_NAME = re.compile(r"[A-Za-z0-9\-_. ]+")

# A template is read from left to right: literals and references in braces, then bare references.
# Variables are expanded first.
_TEMPLATE = re.compile(
    r"\{\{\s*\"(?P<literal>(?:[^\"\\]|\\.)*)\"\s*\}\}"
    r"|\{\{\s*(?P<enclosed>op://[A-Za-z0-9\-?_./ ]*?)\s*\}\}"
    r"|(?<![A-Za-z0-9\-+\\.])(?P<bare>op://[A-Za-z0-9\-?_./]*)"
)
_VARIABLE = re.compile(
    r"\$\{\s*(?P<enclosed>[A-Za-z_]\w*)\s*(?::-(?P<default>[^}]*))?\}|\$(?P<bare>[A-Za-z_]\w*)"
)


class Refused(Exception):
    """`op` would refuse; the text is op's own."""


def resolve_for_read(account: Account, reference: str) -> str:
    """Return what `op read` prints for a reference."""
    try:
        return _resolved(
            account, reference, "could not get item {vault_name}/{item_name}: {missing}"
        )
    except Refused as refusal:
        raise Refused(f"could not read secret '{reference}': {refusal}") from None


def resolve_for_inject(account: Account, reference: str) -> str:
    """Return what `op inject` inserts for a reference."""
    return _resolved(
        account,
        reference,
        "could not resolve item UUID for item {item_name}: "
        "could not find item {item_name} in vault {vault_id}",
    )


def render(template: str, resolve: Callable[[str], str], environment: Mapping[str, str]) -> str:
    """Return a template with all variables and references replaced, including those in comments."""

    def replace(match: re.Match[str]) -> str:
        if match["literal"] is not None:
            return match["literal"].replace('\\"', '"')
        return resolve(match["enclosed"] or match["bare"])

    return _TEMPLATE.sub(replace, _with_variables(template, environment))


def one_item(vault: Vault, name: str) -> Item:
    """Return the item of that name, or refuse as `op item get` and `op document get` do."""
    found = vault.find(name)
    if not found:
        raise Refused(_no_item(name, vault.name))
    if len(found) > 1:
        listing = "".join(
            f'\n\t* for the item "{item.title}" in vault {vault.name}: {item.id}' for item in found
        )
        raise Refused(
            f'More than one item matches "{name}". '
            f"Try again and specify the item by its ID:{listing}"
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
        missing = _no_item(item_name, vault_name)
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


def _no_item(name: str, vault: str) -> str:
    return (
        f'"{name}" isn\'t an item in the "{vault}" vault. '
        "Specify the item with its UUID, name, or domain."
    )


def _parts(reference: str) -> tuple[str, str, str | None, str]:
    invalid = f"invalid secret reference '{reference}': "
    if not reference.startswith(PREFIX):
        raise Refused(f'{invalid}secret reference is not prefixed with "op://"')
    parts = reference.removeprefix(PREFIX).split("/")
    for character in reference.removeprefix(PREFIX):
        if character not in "/?=" and not _NAME.fullmatch(character):
            raise Refused(f"{invalid}invalid character in secret reference: '{character}'")
    if len(parts) < 3 or not all(parts):  # noqa: PLR2004 - vault, item, field
        few = "too few '/': secret references should have at least vault, item and field specified"
        raise Refused(f"{invalid}{few}")
    if len(parts) > 4:  # noqa: PLR2004 - vault, item, section, field
        raise Refused(f"{invalid}too many '/': secret references can only have up to four parts")
    section = parts[2] if len(parts) == 4 else None  # noqa: PLR2004
    return parts[0], parts[1], section, parts[-1]


def _with_variables(template: str, environment: Mapping[str, str]) -> str:
    # Variable names in templates ignore case.
    known = {name.casefold(): value for name, value in environment.items()}

    def replace(match: re.Match[str]) -> str:
        name = match["enclosed"] or match["bare"]
        value = known.get(name.casefold(), match["default"])
        if value is None:
            # The exact text of `op` is not known here; that it fails is.
            raise Refused(f"could not resolve variable '{name}': it is not set in the environment")
        return value

    return _VARIABLE.sub(replace, template)
