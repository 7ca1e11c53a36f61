"""The display without a terminal: plain lines, and never a long silence."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, TextIO

from firstlight.display.lines import Line, lines_for
from firstlight.display.state import DisplayState
from firstlight.events import ActionBegun, CriterionEnded, CriterionStarted, Event, Stamped
from firstlight.formatting import glyphs_for
from firstlight.terminal import SILENCE_S, PlainOutput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firstlight.clock import Clock


class PlainDisplay:
    """Writes lines to a stream."""

    tick_s: Final = 1.0

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._clock = clock
        self._state = DisplayState()
        self._glyphs = glyphs_for(getattr(stream, "encoding", None))
        self._lock = threading.RLock()
        self._output = PlainOutput(stream, clock.monotonic)
        self._announce = False
        """Whether the current criterion has not been announced yet."""

    def hear(self, stamped: Stamped) -> None:
        """Take in an event and write the lines that it leaves."""
        with self._lock:
            event = stamped.event
            self._state.hear(event, self._clock.monotonic())
            if isinstance(event, CriterionStarted):
                self._announce = True
            elif self._announce:
                self._announce_criterion(event)
            if isinstance(event, ActionBegun):
                because = f", because {event.reason}" if event.reason else ""
                self._write(Line("action", f"{self._glyphs.action} {event.action}{because}"))
            for line in lines_for(event, self._state, self._glyphs):
                self._write(line)

    def tick(self) -> None:
        """Write what the run is still doing if nothing was written for a while."""
        with self._lock:
            if self._state.current is None or self._output.silent_for_s < SILENCE_S:
                return
            if self._announce:
                self._announce_criterion(None)
            waits, doing = self._state.doing(self._clock.monotonic())
            output = f": {self._state.line}" if self._state.line else ""
            still = (
                f"{self._glyphs.waiting} still" if waits else f"{self._glyphs.action} still acting:"
            )
            self._write(Line("plain", f"{still} {doing}{output}"))

    def close(self, ending: Iterable[Line] = ()) -> None:
        """Write the last lines."""
        with self._lock:
            for line in ending:
                self._write(line)

    def _announce_criterion(self, event: Event | None) -> None:
        # A criterion that ends at once, such as one that is not reached, is not announced.
        current = self._state.current
        if current is not None and not isinstance(event, CriterionEnded):
            number = self._state.number(len(self._state.ended) + 1, "/")
            self._write(Line("plain", f"  {number} {current.stage}: {current.title}"))
        self._announce = False

    def _write(self, line: Line) -> None:
        self._output.write(line.shown)
