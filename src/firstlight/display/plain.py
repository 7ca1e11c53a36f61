"""The display without a terminal: plain lines at a bounded rate, and never half a minute of silence."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, TextIO

from firstlight.display.glyphs import glyphs_for
from firstlight.display.scene import Scene
from firstlight.display.told import Line, told
from firstlight.events import ActionBegun, CriterionEnded, CriterionStarted, Event, Stamped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firstlight.clock import Clock

SILENCE_S: Final = 15.0
"""A CI job that prints nothing looks dead; one line in a quarter of a minute does not fill its log."""


class PlainDisplay:
    """Writes lines to a stream; when the stream goes away it falls silent, and never raises."""

    tick_s: Final = 1.0

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._scene = Scene()
        self._glyphs = glyphs_for(getattr(stream, "encoding", None))
        self._lock = threading.RLock()
        self._printed_s = clock.monotonic()
        self._gone = False
        self._unsaid = False
        """Whether a criterion began and nothing was said of it."""

    def hear(self, stamped: Stamped) -> None:
        """Take in one event and write what it leaves behind."""
        with self._lock:
            event = stamped.event
            self._scene.hear(event, self._clock.monotonic())
            if isinstance(event, CriterionStarted):
                self._unsaid = True
            elif self._unsaid:
                self._say_start(event)
            if isinstance(event, ActionBegun):
                because = f", because {event.reason}" if event.reason else ""
                self._write(Line("action", f"{self._glyphs.action} {event.action}{because}"))
            for line in told(event, self._scene, self._glyphs):
                self._write(line)

    def tick(self) -> None:
        """Say what is still waited for, if nothing was said for a while."""
        with self._lock:
            now_s = self._clock.monotonic()
            if self._scene.current is None or now_s - self._printed_s < SILENCE_S:
                return
            if self._unsaid:
                self._say_start(None)
            waits, doing = self._scene.doing(now_s)
            output = f": {self._scene.line}" if self._scene.line else ""
            sign = self._glyphs.waiting if waits else self._glyphs.action
            self._write(Line("plain", f"{sign} still {doing}{output}"))

    def close(self, ending: Iterable[Line] = ()) -> None:
        """Write the last lines."""
        with self._lock:
            for line in ending:
                self._write(line)

    def _say_start(self, event: Event | None) -> None:
        # What ends as soon as it began, such as a criterion that is not reached, needs no line for its start.
        current = self._scene.current
        if current is not None and not isinstance(event, CriterionEnded):
            number = self._scene.number(len(self._scene.ended) + 1, "/")
            self._write(Line("plain", f"  {number} {current.stage}: {current.title}"))
        self._unsaid = False

    def _write(self, line: Line) -> None:
        if self._gone:
            return
        self._printed_s = self._clock.monotonic()
        try:
            self._stream.write(line.shown + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            # The reader went away, or the stream was closed: the bootstrap goes on without an audience.
            self._gone = True
