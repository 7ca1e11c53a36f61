"""Write to a terminal or a log, for the run's display and for the setup of tools.

Output must never stop the work that it describes: when the stream goes away, writing falls silent.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TextIO

from rich.console import Console, ConsoleDimensions, RenderableType
from rich.live import Live
from rich.text import Text

SILENCE_S: Final = 15.0
"""A CI job that prints nothing looks dead; four lines a minute do not fill its log."""

BAR_WIDTH: Final = 24

_FALLBACK_SIZE: Final = (80, 24)
_STOP_WAIT_S: Final = 2.0
"""Drawing takes milliseconds; a terminal that blocks longer must not keep the program running."""


def can_redraw(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Report whether a stream is a terminal on which the cursor can be moved."""
    return stream.isatty() and environment.get("TERM", "") not in {"", "dumb"}


class PlainOutput:
    """Writes lines to a stream and knows how long ago the last one was written."""

    def __init__(self, stream: TextIO, monotonic: Callable[[], float]) -> None:
        self._stream = stream
        self._monotonic = monotonic
        self._written_s = monotonic()
        self._gone = False

    @property
    def silent_for_s(self) -> float:
        """Seconds since the last line."""
        return self._monotonic() - self._written_s

    def write(self, line: str) -> None:
        """Write a line."""
        if self._gone:
            return
        self._written_s = self._monotonic()
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            # The reader went away, or the stream was closed.
            self._gone = True


class LiveOutput:
    """Lines that scroll by, and below them an area that is redrawn in place.

    Args:
        stream: A terminal, see `can_redraw`.
        draw: Returns what the area shows now.
        color: Whether to use colors; the variable `NO_COLOR` turns them off as well.
    """

    def __init__(
        self, stream: TextIO, draw: Callable[[], RenderableType], *, color: bool = True
    ) -> None:
        self._stream = stream
        self._draw = draw
        self._lock = threading.RLock()
        self._gone = False
        self._live: Live | None = None
        self._console = _Console(
            file=stream,
            force_terminal=True,
            no_color=None if color else True,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def begin(self) -> None:
        """Show the area; does nothing if it is shown already."""
        self._safely(self._begin)

    def update(self, lines: Iterable[Text] = ()) -> None:
        """Print lines above the area and redraw it."""
        self._safely(lambda: self._update(lines))

    def end(self) -> None:
        """Remove the area; the lines stay."""
        self._safely(self._end)

    def close(self) -> None:
        """Remove the area and write nothing from now on."""
        self.end()
        self._gone = True

    def _begin(self) -> None:
        if self._live is not None:
            return
        self._resize()
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            get_renderable=self._draw,
        )
        self._live.start()
        # A program that is killed must not leave a terminal without a cursor.
        self._console.show_cursor(show=True)

    def _update(self, lines: Iterable[Text]) -> None:
        self._resize()
        for line in lines:
            self._console.print(line, soft_wrap=True)
        if self._live is not None:
            self._live.refresh()

    def _end(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _resize(self) -> None:
        # The terminal may be resized at any time, and rich would ask the standard streams, which
        # pytest redirects.
        try:
            size = ConsoleDimensions(*os.get_terminal_size(self._stream.fileno()))
        except (OSError, ValueError):
            size = ConsoleDimensions(*_FALLBACK_SIZE)
        self._console.size = size

    def _safely(self, act: Callable[[], None]) -> None:
        with self._lock:
            if self._gone:
                return
            try:
                act()
            except (OSError, ValueError):
                self._gone = True


class _Console(Console):
    """A console that reports a broken pipe instead of ending the program, as rich's own does."""

    def on_broken_pipe(self) -> None:
        """Raise the error.

        Raises:
            BrokenPipeError: Always.
        """
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class Ticker:
    """Calls a function at a steady pace, in a thread that cannot outlive the program."""

    def __init__(self, tick: Callable[[], None], every_s: float) -> None:
        self._tick = tick
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="firstlight-display", daemon=True)

    def start(self) -> None:
        """Start ticking."""
        self._thread.start()

    def stop(self) -> None:
        """Stop and wait until the last tick is done; may be called more than once."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_WAIT_S)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self._tick()
