"""Write durations, moments, counts and signs the same way in the terminal and in the report."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Final

MINUTE_S: Final = 60
HOUR_S: Final = 3600

SHORTEST_S: Final = 0.005
"""Anything shorter is written as zero."""


def duration_text(seconds: float) -> str:
    """Return a duration as people write it: `0.42 s`, `7.3 s`, `14 m 03 s`, `1 h 02 m`."""
    if seconds < SHORTEST_S:
        return "0 s"
    if round(seconds, 2) < 1:
        return f"{seconds:.2f} s"
    if round(seconds, 1) < MINUTE_S:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < HOUR_S:
        return f"{whole // MINUTE_S} m {whole % MINUTE_S:02d} s"
    return f"{whole // HOUR_S} h {whole % HOUR_S // MINUTE_S:02d} m"


def budget_text(seconds: float) -> str:
    """Return a budget without needless digits: `30 m`, `90 s`, `5 m`."""
    whole = round(seconds)
    if whole > MINUTE_S and whole % MINUTE_S == 0:
        return f"{whole // MINUTE_S} m"
    return f"{whole} s"


def moment_text(stamp: str) -> str:
    """Return an ISO 8601 timestamp to the second: `2026-11-23 07:32:04`."""
    return stamp[:19].replace("T", " ")


def plural(number: int, noun: str) -> str:
    """Return a number with its noun: `1 scenario`, `2 scenarios`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The signs that mark lines and verdicts."""

    action: str
    waiting: str
    met: str
    failed: str
    warning: str
    generated: str
    rule: str
    in_part: str
    none: str


UNICODE: Final = Glyphs("►", "◎", "✔", "✗", "⚠", "✚", "│", "◐", "·")
ASCII: Final = Glyphs(">", "o", "+", "x", "!", "*", "|", "~", "-")


def glyphs_for(encoding: str | None) -> Glyphs:
    """Return the signs that an encoding can represent."""
    try:
        "".join(astuple(UNICODE)).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE
