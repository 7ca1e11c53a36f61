"""The encrypted file behind the `op` stand-in: vaults, items, fields and documents.

Only what `op` needs is imported here, because each `op` call pays for it.
"""

from __future__ import annotations

import json
import os
import secrets
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
