"""The one doorway to time: wall clock for stamps, a monotonic clock for spans, and sleep."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
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


class SteadyClock(SystemClock):
    """The machine's clocks, but for a wall clock that is set once, when it is made: from then on it only runs.

    For the stamps of one run: an operator or NTP may set the machine's clock meanwhile, and no span must change by that.
    """

    def __init__(self) -> None:
        self._started = super().now()
        self._uptime = Uptime.now()

    def now(self) -> datetime:
        """Return what the wall clock would say if nobody had set it since."""
        return self._started + timedelta(seconds=Uptime.now().seconds - self._uptime.seconds)


@dataclass(frozen=True, slots=True)
class Uptime:
    """A moment by the clock that nobody sets: it only runs, from one boot of the machine to the next, also while the machine is suspended.

    Attributes:
        boot: The boot's own name, empty where the kernel gives none.
        seconds: Since that boot.
    """

    boot: str
    seconds: float

    @classmethod
    def now(cls) -> Uptime:
        """Return the present moment."""
        return cls(
            _boot(), time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
        )

    def before(self, moment: datetime, current: Uptime) -> datetime | None:
        """Return when this was by a wall clock that says `moment` at `current`; none when it was another boot."""
        if not self.boot or self.boot != current.boot:
            return None
        return moment - timedelta(seconds=current.seconds - self.seconds)


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""
