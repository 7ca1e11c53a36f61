"""A clockwork for the display: time passes on the screen while nothing happens, and stops with the run."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_STOP_WAIT_S: Final = 2.0
"""A drawing takes milliseconds; a terminal that blocks longer must not keep the run from ending."""


class Ticker:
    """Calls a function at a steady pace in a thread that cannot outlive the program."""

    def __init__(self, tick: Callable[[], None], every_s: float) -> None:
        self._tick = tick
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="firstlight-display", daemon=True)

    def start(self) -> None:
        """Begin to tick."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait until the last tick is done; more than once is allowed."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_WAIT_S)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self._tick()
