"""The stand-in of 1Password's `op`: what this project asks of it, over one encrypted file.

It cannot show that an account, a device or a permission is right. All the rest is as in `op`: a session that can be absent, references that
can be wrong, two documents of one name, and refusals in its own words on standard error with exit code 1.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.simulated.faults import said
from lab.simulated.op_commands import (
    Request,
    document_create,
    document_edit,
    document_get,
    inject,
    item_get,
    read,
    signin,
    signout,
    whoami,
)
from lab.simulated.references import Refused

VERSION = "2.34.1"
"""The version of `op` whose texts these are."""

RATE_LIMITED = "Too many requests. Your client has been rate limited. Try again in a few minutes"

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
"""Each command with its flags; a name that ends in `=` takes a value."""


def answer(lab: Path, argv: Sequence[str]) -> str:
    """Return what a call prints.

    Raises:
        Refused: `op` would say no.
    """
    if list(argv) in (["--version"], ["-v"]):
        return f"{VERSION}\n"
    if said(lab, "op") == "rate_limited":
        raise Refused(RATE_LIMITED)
    for name, (command, flags) in COMMANDS.items():
        if tuple(argv[: len(name)]) == name:
            words, found = _split(argv[len(name) :], flags)
            return command(Request(lab, words, found))
    known = ", ".join(" ".join(name) for name in COMMANDS)
    raise Refused(f'unknown command "{" ".join(argv[:2])}" for "op" (this stand-in knows {known})')


def main(argv: Sequence[str]) -> int:
    """Run one call; the first two words say which lab (`--lab`, folder)."""
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
