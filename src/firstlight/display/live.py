"""The display in a terminal: finished criteria scroll by, and below them stands what is going on."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING, Final, TextIO

from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from firstlight.display.glyphs import glyphs_for
from firstlight.display.scene import Scene
from firstlight.display.told import Line, told
from firstlight.printable import printable
from firstlight.span import budget_text, span_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import RenderableType

    from firstlight.clock import Clock
    from firstlight.events import Stamped

_STYLES: Final = {
    "met": "green",
    "failed": "bold red",
    "warning": "yellow",
    "action": "cyan",
    "strong": "bold",
    "plain": "",
}
_BAR_WIDTH: Final = 24
_FALLBACK_SIZE: Final = (80, 24)


class PatientConsole(Console):
    """A console that does not end the program when its reader goes away, as rich's own does."""

    def on_broken_pipe(self) -> None:
        """Pass the error on, for the display to fall silent.

        Raises:
            BrokenPipeError: Always.
        """
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class LiveDisplay:
    """Draws to a terminal; when the terminal goes away it falls silent, and never raises."""

    tick_s: Final = 0.25

    def __init__(self, stream: TextIO, clock: Clock, *, color: bool = True) -> None:
        self._clock = clock
        self._scene = Scene()
        self._glyphs = glyphs_for(getattr(stream, "encoding", None))
        self._lock = threading.RLock()
        self._gone = False
        """Whether there is nothing to draw on: the terminal went away, or the display is closed."""
        self._stream = stream
        self._console = PatientConsole(
            file=stream,
            force_terminal=True,
            no_color=not color,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._live: Live | None = None

    def hear(self, stamped: Stamped) -> None:
        """Take in one event, and let what it leaves behind scroll by."""
        with self._lock:
            self._scene.hear(stamped.event, self._clock.monotonic())
            lines = list(told(stamped.event, self._scene, self._glyphs))
            self._safely(lambda: self._show(lines))

    def tick(self) -> None:
        """Draw the present moment anew: elapsed time goes on between events."""
        with self._lock:
            self._safely(lambda: self._show(()))

    def close(self, ending: Iterable[Line] = ()) -> None:
        """Take the live part away and print the last lines."""
        with self._lock:
            self._safely(self._stop)
            self._safely(lambda: self._print(ending))
            self._gone = True

    def _show(self, lines: Iterable[Line]) -> None:
        # Asked at each drawing, and of our own stream: pytest redirects the ones that rich would ask.
        self._console.size = self._size()
        if self._live is None and self._scene.run is not None:
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                get_renderable=self._draw,
            )
            self._live.start()
            # A killed run must not leave a terminal without a cursor.
            self._console.show_cursor(show=True)
        self._print(lines)
        if self._live is not None:
            self._live.refresh()

    def _print(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self._console.print(Text(line.shown, style=_STYLES[line.manner]), soft_wrap=True)

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()

    def _size(self) -> ConsoleDimensions:
        try:
            return ConsoleDimensions(*os.get_terminal_size(self._stream.fileno()))
        except (OSError, ValueError):
            return ConsoleDimensions(*_FALLBACK_SIZE)

    def _draw(self) -> RenderableType:
        scene = self._scene
        now_s = self._clock.monotonic()
        head = Table.grid(padding=(0, 1))
        budget_s = scene.run.budget_s if scene.run else 0.0
        elapsed = (
            f"{span_text(now_s - scene.began_s)} of {budget_text(budget_s)}" if budget_s else ""
        )
        bar = ProgressBar(
            total=max(1, len(scene.infos)), completed=len(scene.ended), width=_BAR_WIDTH
        )
        head.add_row(bar, Text(scene.place()), Text(elapsed, style="dim"))
        parts: list[RenderableType] = [head]
        if scene.current is not None:
            waits, doing = scene.doing(now_s)
            sign = self._glyphs.waiting if waits else self._glyphs.action
            parts.append(self._cut(f"  {scene.current.title}", "bold"))
            parts.append(self._cut(f"{sign} {doing}", "cyan"))
        if scene.command:
            parts.append(self._cut(f"  $ {scene.command}", "dim"))
        if scene.line:
            parts.append(self._cut(f"  {self._glyphs.rule} {scene.line}", "dim"))
        return Group(*parts)

    def _cut(self, said: str, style: str) -> Text:
        # What wraps makes the live part jump, so each line is cut to the width.
        return Text(
            printable(said).replace("\t", " ").replace("\n", " "),
            style=style,
            no_wrap=True,
            overflow="ellipsis",
        )

    def _safely(self, draw: Callable[[], None]) -> None:
        if self._gone:
            return
        try:
            draw()
        except (OSError, ValueError):
            # The bootstrap goes on without an audience.
            self._gone = True
