"""The bus stamps an event and hands it to each listener in turn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from firstlight.events.model import Event, Stamped

if TYPE_CHECKING:
    from firstlight.clock import Clock

Listener = Callable[[Stamped], None]


class Bus:
    """Tell every listener what happens, in order; the journal is first, so that "begun" is on disk before anybody hears of it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started_at = clock.monotonic()
        self._listeners: list[Listener] = []
        # Machines are asked from many threads; a listener hears one thing at a time.
        self._telling = threading.RLock()

    def add(self, listener: Listener) -> None:
        """Let a listener hear every event from now on."""
        self._listeners.append(listener)

    def add_first(self, listener: Listener) -> None:
        """Let a listener hear every event before all others do."""
        self._listeners.insert(0, listener)

    def emit(self, event: Event) -> None:
        """Stamp an event with the time and tell it to all listeners; a listener's error is the caller's."""
        with self._telling:
            stamped = Stamped(
                at=self._clock.now().isoformat(timespec="milliseconds"),
                since_start_s=self._clock.monotonic() - self._started_at,
                event=event,
            )
            for listener in self._listeners:
                listener(stamped)
