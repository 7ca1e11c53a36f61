"""The stand-in for 1Password's `op`: the commands that this project uses, on one encrypted file.

It cannot verify an account, a device or a permission. Everything else behaves like `op`: the
session may be missing, references may be wrong, two documents may have the same name, and refusals
come in op's own words on standard error with exit code 1.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyrage import DecryptError, IdentityError

from lab.simulated.faults import current_fault
from lab.simulated.vault import (
    Account,
    Item,
    Refused,
    Vault,
    changing,
    one_item,
    read_account,
    render,
    resolve_for_inject,
    resolve_for_read,
)

VERSION = "2.34.1"
"""The version of `op` that these texts were taken from."""

RATE_LIMITED = "Too many requests. Your client has been rate limited. Try again in a few minutes"

SIGNED_OUT = "You are not currently signed in. Please run `op signin --help` for instructions"
SESSION_EXPIRED = "session expired, sign in to create a new session"
INPUT_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One call.

    Attributes:
        lab: The lab's state folder.
        words: The arguments after the command's name that are not flags.
        flags: Flag values by long name; a flag without a value holds "true".
    """

    lab: Path
    words: Sequence[str]
    flags: Mapping[str, str]

    @property
    def vault_file(self) -> Path:
        """The encrypted file."""
        return self.lab / "vault.age"

    def key(self) -> str:
        """Return the key of the encrypted file, or refuse if nobody is signed in."""
        try:
            return (self.lab / "op-session").read_text(encoding="ascii").strip()
        except FileNotFoundError:
            raise Refused(SIGNED_OUT) from None

    def account(self) -> Account:
        """Return the content of the file."""
        try:
            return read_account(self.vault_file, self.key())
        except (DecryptError, IdentityError) as error:
            raise Refused(SESSION_EXPIRED) from error

    def vault(self, account: Account) -> Vault:
        """Return the vault that `--vault` names; by default `Private`, as in `op`."""
        name = self.flags.get("vault", "Private")
        found = account.vault(name)
        if found is None:
            raise Refused(
                f'"{name}" isn\'t a vault in this account. Specify the vault with its ID or name.'
            )
        return found

    def one_word(self) -> str:
        """Return the only argument, or refuse as `op` does."""
        if len(self.words) != 1:
            raise Refused(f"accepts 1 arg(s), received {len(self.words)}")
        return self.words[0]


def whoami(request: Request) -> str:
    """Print who is signed in."""
    try:
        request.key()
    except Refused:
        raise Refused("account is not signed in") from None
    return (
        "URL:        https://stand-in.firstlight.invalid\n"
        "Email:      operator@firstlight.invalid\n"
        "User ID:    STANDIN\n"
    )


def signin(request: Request) -> str:
    """Sign in with what stands for the account's password."""
    try:
        key = (request.lab / "op-account").read_bytes()
    except FileNotFoundError:
        raise Refused("No accounts configured for use with 1Password CLI.") from None
    descriptor = os.open(request.lab / "op-session", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(key)
    return ""


def signout(request: Request) -> str:
    """Sign out."""
    (request.lab / "op-session").unlink(missing_ok=True)
    return ""


def read(request: Request) -> str:
    """Print one secret."""
    reference = request.one_word()
    try:
        account = request.account()
    except Refused as refusal:
        raise Refused(
            f"could not read secret '{reference}': error initializing client: {refusal}"
        ) from None
    return resolve_for_read(account, reference) + ("" if "no-newline" in request.flags else "\n")


def inject(request: Request) -> str:
    """Print a template with its secrets."""
    if request.words:
        raise Refused(f'unknown command "{request.words[0]}" for "op inject"')
    template = _content(request.flags.get("in-file", "-"))
    account = request.account()
    return render(template, lambda reference: resolve_for_inject(account, reference), os.environ)


def item_get(request: Request) -> str:
    """Print an item as JSON."""
    if request.flags.get("format") != "json":
        raise Refused("this stand-in prints items as JSON only: add --format json")
    vault = request.vault(request.account())
    return json.dumps(_item_json(vault, one_item(vault, request.one_word())), indent=2) + "\n"


def document_create(request: Request) -> str:
    """Store a document. An existing one with the same title is kept, as in 1Password."""
    content = _content(request.words[0] if request.words else "-")
    file_name = request.flags.get("file-name") or request.flags.get("title") or "document"
    item = Item(
        request.flags.get("title", file_name),
        category="DOCUMENT",
        file_name=file_name,
        content=content,
    )
    with changing(request.vault_file, request.key()) as account:
        vault = request.vault(account)
        vault.items.append(item)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return (
        json.dumps({"uuid": item.id, "createdAt": now, "updatedAt": now, "vaultUuid": vault.id})
        + "\n"
    )


def document_edit(request: Request) -> str:
    """Replace a document's content."""
    if not request.words:
        raise Refused("accepts between 1 and 2 arg(s), received 0")
    content = _content(request.words[1] if len(request.words) > 1 else "-")
    with changing(request.vault_file, request.key()) as account:
        item = one_item(request.vault(account), request.words[0])
        _require_document(item)
        item.content = content
        item.file_name = request.flags.get("file-name", item.file_name)
        item.version += 1
    return ""


def document_get(request: Request) -> str:
    """Print a document."""
    item = one_item(request.vault(request.account()), request.one_word())
    _require_document(item)
    return item.content


def _content(source: str) -> str:
    if source == "-":
        return sys.stdin.read(INPUT_BYTES_MAX)
    try:
        with Path(source).open(encoding="utf-8") as stream:
            return stream.read(INPUT_BYTES_MAX)
    except OSError as error:
        raise Refused(
            f"could not read file: open {source}: {(error.strerror or '').lower()}"
        ) from None


def _require_document(item: Item) -> None:
    if not item.file_name:
        raise Refused(f'"{item.title}" doesn\'t seem to be a document')


def _item_json(vault: Vault, item: Item) -> dict[str, object]:
    data: dict[str, object] = {
        "id": item.id,
        "title": item.title,
        "version": item.version,
        "vault": {"id": vault.id, "name": vault.name},
        "category": item.category,
        "fields": [
            {
                "id": entry.label,
                "type": "CONCEALED",
                "label": entry.label,
                "value": entry.value,
                "reference": "op://"
                + "/".join(
                    part for part in (vault.name, item.title, entry.section, entry.label) if part
                ),
            }
            for entry in item.fields
        ],
    }
    if item.file_name:
        data["files"] = [
            {"id": item.id, "name": item.file_name, "size": len(item.content.encode())}
        ]
    return data


COMMANDS: Mapping[tuple[str, ...], tuple[Callable[[Request], str], Mapping[str, str]]] = {
    ("whoami",): (whoami, {}),
    ("signin",): (signin, {}),
    ("signout",): (signout, {}),
    ("read",): (read, {"-n": "no-newline", "--no-newline": "no-newline"}),
    ("inject",): (inject, {"-i": "in-file=", "--in-file": "in-file="}),
    ("item", "get"): (item_get, {"--vault": "vault=", "--format": "format=", "--reveal": "reveal"}),
    ("document", "create"): (
        document_create,
        {"--vault": "vault=", "--title": "title=", "--file-name": "file-name=", "--tags": "tags="},
    ),
    ("document", "edit"): (document_edit, {"--vault": "vault=", "--file-name": "file-name="}),
    ("document", "get"): (document_get, {"--vault": "vault="}),
}
"""Each command with its flags. A name that ends in `=` takes a value."""


def answer(lab: Path, argv: Sequence[str]) -> str:
    """Return the output of a call.

    Raises:
        Refused: `op` would refuse.
    """
    if list(argv) in (["--version"], ["-v"]):
        return f"{VERSION}\n"
    if current_fault(lab, "op") == "rate_limited":
        raise Refused(RATE_LIMITED)
    for name, (command, flags) in COMMANDS.items():
        if tuple(argv[: len(name)]) == name:
            words, found = _split(argv[len(name) :], flags)
            return command(Request(lab, words, found))
    known = ", ".join(" ".join(name) for name in COMMANDS)
    raise Refused(f'unknown command "{" ".join(argv[:2])}" for "op" (this stand-in knows {known})')


def main(argv: Sequence[str]) -> int:
    """Run one call. The first two arguments name the lab (`--lab FOLDER`)."""
    try:
        text = answer(Path(argv[1]), argv[2:])
    except Refused as refusal:
        sys.stderr.write(f"[ERROR] {time.strftime('%Y/%m/%d %H:%M:%S')} {refusal}\n")
        return 1
    sys.stdout.write(text)
    return 0


def _split(argv: Sequence[str], flags: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    words: list[str] = []
    found: dict[str, str] = {}
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        name, separator, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            words.append(word)
        elif name not in flags:
            raise Refused(f"unknown flag: {name}")
        elif not flags[name].endswith("="):
            found[flags[name]] = "true"
        elif separator:
            found[flags[name].rstrip("=")] = value
        elif rest:
            found[flags[name].rstrip("=")] = rest.pop(0)
        else:
            raise Refused(f"flag needs an argument: {name}")
    return words, found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
