"""Choose the display for a stream, and run it for as long as the run lasts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

from firstlight.display.live import LiveDisplay
from firstlight.display.plain import PlainDisplay
from firstlight.terminal import Ticker, can_redraw

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from firstlight.clock import Clock
    from firstlight.display.lines import Line
    from firstlight.events import Stamped


class Display(Protocol):
    """What both displays can do."""

    @property
    def tick_s(self) -> float:
        """How often `tick` is to be called, in seconds."""
        ...

    def hear(self, stamped: Stamped) -> None:
        """Take in an event."""
        ...

    def tick(self) -> None:
        """Show that time has passed."""
        ...

    def close(self, ending: Iterable[Line] = ()) -> None:
        """Write the last lines and leave the stream as it was."""
        ...


def choose_display(stream: TextIO, clock: Clock, environment: Mapping[str, str]) -> Display:
    """Return the live display for a terminal that can be redrawn, and the plain one otherwise."""
    if can_redraw(stream, environment):
        return LiveDisplay(stream, clock, color="NO_COLOR" not in environment)
    return PlainDisplay(stream, clock)


class Screen:
    """A display with the ticker that drives it, closed exactly once."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._ticker = Ticker(display.tick, display.tick_s)
        self._closed = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep the display ticking while the block runs, however it ends."""
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
        """Stop ticking and write the last lines; only the first call has an effect."""
        if self._closed:
            return
        self._closed = True
        try:
            self._ticker.stop()
        finally:
            self._display.close(ending)
