"""Make foreign output fit to be shown: no colour codes, no cursor movements, no bells."""

from __future__ import annotations

import re
from typing import Final

_ESCAPES: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours and cursor movements
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: window titles, links
    r"|\x1b[@-Z\\-_]"
)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(raw: str) -> str:
    """Return text without what would move the cursor or break a page; line ends and tabs stay."""
    return _CONTROLS.sub("", _ESCAPES.sub("", raw))
