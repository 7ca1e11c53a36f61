"""The bus stamps each event and passes it to every listener in turn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from firstlight.events.model import Event, Stamped

if TYPE_CHECKING:
    from firstlight.clock import Clock

Listener = Callable[[Stamped], None]


class Bus:
    """Passes events to listeners, in order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started_at = clock.monotonic()
        self._listeners: list[Listener] = []
        # Machines are asked from many threads; a listener hears one event at a time.
        self._emitting = threading.RLock()

    def add(self, listener: Listener) -> None:
        """Pass every later event to this listener, after the listeners added before it."""
        self._listeners.append(listener)

    def add_first(self, listener: Listener) -> None:
        """Pass every later event to this listener, before all others."""
        self._listeners.insert(0, listener)

    def emit(self, event: Event) -> None:
        """Stamp an event and pass it to all listeners; an error of a listener is raised here."""
        with self._emitting:
            stamped = Stamped(
                at=self._clock.now().isoformat(timespec="milliseconds"),
                since_start_s=self._clock.monotonic() - self._started_at,
                event=event,
            )
            for listener in self._listeners:
                listener(stamped)
