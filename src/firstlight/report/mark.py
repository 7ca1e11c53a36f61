"""The building blocks of Markdown: foreign text in it stays text, wherever it is shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from firstlight.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BAR: Final = "\\|"

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>~#$!])")


def prose(raw: str) -> str:
    """Return text on one line whose `backticks` are code and in which nothing else is markup."""
    pieces = re.split(r"`([^`]+)`", _one_line(raw))
    return "".join(
        code(piece) if number % 2 else _escaped(piece) for number, piece in enumerate(pieces)
    )


def code(raw: str) -> str:
    """Return text as code within a line."""
    text = _one_line(raw)
    if not text:
        return ""
    fence = "`" * (_longest_run(text) + 1)
    edge = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{edge}{text}{edge}{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose cells are Markdown already, or nothing without rows."""
    # A bar ends a cell, even within code.
    lines = [f"| {' | '.join(cell.replace('|', BAR) for cell in row)} |" for row in rows]
    return (
        "\n".join((f"| {' | '.join(head)} |", "|" + " --- |" * len(head), *lines)) if lines else ""
    )


def section(title: str, body: str) -> str:
    """Return a section, or nothing without a body."""
    return f"## {title}\n\n{body}" if body else ""


def fenced(raw: str) -> str:
    """Return text as a block of code."""
    text = printable(raw).rstrip()
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}text\n{text}\n{fence}"


def _escaped(text: str) -> str:
    # A name after an at sign would be told of it by mail.
    return _SPECIAL.sub(r"\\\1", text.replace("&", "&amp;")).replace("@", "&#64;")


def _one_line(raw: str) -> str:
    return " ".join(printable(raw).split())


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
