"""Make text fit to be shown: without control characters, and with long lists of names cut short."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

NAMED_MAX: Final = 8
"""How many names one line lists: all machines of a usual cluster, the first few of hundreds."""

_ESCAPES: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours and cursor movements
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: window titles, links
    r"|\x1b[@-Z\\-_]"
)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(raw: str) -> str:
    """Return text without what would move the cursor or break a page; line ends and tabs stay."""
    return _CONTROLS.sub("", _ESCAPES.sub("", raw))


def names_text(names: Iterable[str]) -> str:
    """Return sorted names on one line, cut short after `NAMED_MAX`; `none` for an empty list."""
    ordered = sorted(names)
    if not ordered:
        return "none"
    more = len(ordered) - NAMED_MAX
    return ", ".join(ordered[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
