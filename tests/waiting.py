"""The one place where tests wait for other processes: they look again and again, and give up after a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from firstlight.clock import SystemClock

Seen = TypeVar("Seen")

CLOCK = SystemClock()
PAUSE_S = 0.02


def until(look: Callable[[], Seen], *, within_s: float, pause_s: float = PAUSE_S) -> Seen:
    """Return what is seen as soon as it is something, or what was seen last after so many seconds: the caller says what that means."""
    deadline_s = CLOCK.monotonic() + within_s
    while not (seen := look()) and CLOCK.monotonic() < deadline_s:
        CLOCK.sleep(pause_s)
    return seen
