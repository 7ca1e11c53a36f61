"""The one doorway to time: wall clock for stamps, a monotonic clock for spans, and sleep."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the library asks of time; `SystemClock` is real, tests bring one that never waits."""

    def now(self) -> datetime:
        """Return the wall clock in UTC, for stamps that people read."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never jump, for spans and deadlines."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass, in seconds."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """Return the wall clock in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never jump."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass, in seconds; a negative span is none."""
        time.sleep(max(0.0, seconds))
