"""How tests wait for other processes: check repeatedly, and stop after a time limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from firstlight.clock import SystemClock

Seen = TypeVar("Seen")

CLOCK = SystemClock()
PAUSE_S = 0.02


def until(check: Callable[[], Seen], *, within_s: float, pause_s: float = PAUSE_S) -> Seen:
    """Return the first true result of a check, or its last result once the time is up.

    The caller decides what a false result means.
    """
    deadline_s = CLOCK.monotonic() + within_s
    while not (seen := check()) and CLOCK.monotonic() < deadline_s:
        CLOCK.sleep(pause_s)
    return seen
