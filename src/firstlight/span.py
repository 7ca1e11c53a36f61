"""How spans of seconds and moments are written, the same in the terminal, the page and the runbook."""

from __future__ import annotations

from typing import Final

MINUTE_S: Final = 60
HOUR_S: Final = 3600

SHORTEST_S: Final = 0.005
"""What is shorter is written as nothing."""


def span_text(seconds: float) -> str:
    """Return a span as people say it: `0.42 s`, `7.3 s`, `14 m 03 s`, `1 h 02 m`."""
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
    """Return a moment to the second: `2026-11-23 07:32:04`."""
    return stamp[:19].replace("T", " ")
