"""The display's six verbs, one glyph each, and letters for terminals that cannot show them."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Final

from firstlight.events import Verdict


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One sign a verb, all of the same width."""

    action: str
    waiting: str
    met: str
    failed: str
    warning: str
    generated: str
    rule: str
    ellipsis: str

    def of(self, verdict: Verdict) -> str:
        """Return the sign of a verdict."""
        if verdict.holds:
            return self.met
        if verdict.failed:
            return self.failed
        return self.action if verdict is Verdict.WILL_ACT else self.warning


UNICODE: Final = Glyphs("►", "◎", "✔", "✗", "⚠", "✚", "│", "…")
ASCII: Final = Glyphs(">", "o", "+", "x", "!", "*", "|", "...")


def glyphs_for(encoding: str | None) -> Glyphs:
    """Return the signs that an encoding can show."""
    try:
        "".join(astuple(UNICODE)).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE
