"""Choose the display for a stream, and run it for as long as the run lasts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

from firstlight.display.live import LiveDisplay
from firstlight.display.plain import PlainDisplay
from firstlight.display.ticker import Ticker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from firstlight.clock import Clock
    from firstlight.display.told import Line
    from firstlight.events import Stamped


class Display(Protocol):
    """What both displays can do."""

    @property
    def tick_s(self) -> float:
        """How often it wants to be told that time passes, in seconds."""
        ...

    def hear(self, stamped: Stamped) -> None:
        """Take in one event."""
        ...

    def tick(self) -> None:
        """Let time pass on the screen."""
        ...

    def close(self, ending: Iterable[Line] = ()) -> None:
        """Say the last lines and leave the stream as it was."""
        ...


def choose_display(stream: TextIO, clock: Clock, environment: Mapping[str, str]) -> Display:
    """Return the live display for a terminal that can move its cursor, plain lines for anything else."""
    if stream.isatty() and environment.get("TERM", "") not in {"", "dumb"}:
        return LiveDisplay(stream, clock, color="NO_COLOR" not in environment)
    return PlainDisplay(stream, clock)


class Screen:
    """A display together with its clockwork, closed once, whatever happens."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._ticker = Ticker(display.tick, display.tick_s)
        self._closed = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let time pass on the screen for as long as the block runs, however it ends."""
        self._ticker.start()
        try:
            yield
        finally:
            self._ticker.stop()

    def hear(self, stamped: Stamped) -> None:
        """Pass an event on."""
        if not self._closed:
            self._display.hear(stamped)

    def close(self, ending: Iterable[Line] = ()) -> None:
        """Stop the clockwork and say the last lines; only the first call does anything."""
        if self._closed:
            return
        self._closed = True
        try:
            self._ticker.stop()
        finally:
            self._display.close(ending)
