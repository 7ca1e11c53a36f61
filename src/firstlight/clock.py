"""The only access to time: a wall clock for stamps, a monotonic clock for spans, and sleep."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """What the library needs of time; `SystemClock` is real, tests use one that never waits."""

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
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the wall clock in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never jump."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass, in seconds; negative values count as zero."""
        time.sleep(max(0.0, seconds))


class SteadyClock(SystemClock):
    """The machine's clocks, except that the wall clock is read once and then only runs.

    It stamps the events of one run: an operator or NTP may set the machine's clock in the meantime,
    and no span may change because of that.
    """

    def __init__(self) -> None:
        self._started = super().now()
        self._uptime = Uptime.now()

    def now(self) -> datetime:
        """Return the wall clock time, ignoring clock changes since the start."""
        return self._started + timedelta(seconds=Uptime.now().seconds - self._uptime.seconds)


@dataclass(frozen=True, slots=True)
class Uptime:
    """A moment by a clock that is never set and also runs while the machine is suspended.

    Attributes:
        boot: The kernel's ID of the boot, empty if it has none.
        seconds: Seconds since that boot.
    """

    boot: str
    seconds: float

    @classmethod
    def now(cls) -> Uptime:
        """Return the present moment."""
        clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        return cls(_boot(), time.clock_gettime(clock))

    def before(self, moment: datetime, current: Uptime) -> datetime | None:
        """Return the time of this uptime, by a wall clock that shows `moment` at `current`.

        Return None if the two are from different boots.
        """
        if not self.boot or self.boot != current.boot:
            return None
        return moment - timedelta(seconds=current.seconds - self.seconds)


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""
