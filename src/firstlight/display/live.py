"""The display in a terminal: finished criteria scroll by, and the current one is shown below."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, TextIO

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from firstlight.display.lines import Line, lines_for
from firstlight.display.state import DisplayState
from firstlight.formatting import budget_text, duration_text, glyphs_for
from firstlight.printable import printable
from firstlight.terminal import BAR_WIDTH, LiveOutput

if TYPE_CHECKING:
    from collections.abc import Iterable

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


class LiveDisplay:
    """Draws to a terminal."""

    tick_s: Final = 0.25

    def __init__(self, stream: TextIO, clock: Clock, *, color: bool = True) -> None:
        self._clock = clock
        self._state = DisplayState()
        self._glyphs = glyphs_for(getattr(stream, "encoding", None))
        self._lock = threading.RLock()
        self._output = LiveOutput(stream, self._draw, color=color)

    def hear(self, stamped: Stamped) -> None:
        """Take in an event and print the lines that it leaves."""
        with self._lock:
            self._state.hear(stamped.event, self._clock.monotonic())
            if self._state.run is not None:
                self._output.begin()
            self._output.update(map(_styled, lines_for(stamped.event, self._state, self._glyphs)))

    def tick(self) -> None:
        """Redraw: elapsed time keeps counting between events."""
        with self._lock:
            self._output.update()

    def close(self, ending: Iterable[Line] = ()) -> None:
        """Remove the live part and print the last lines."""
        with self._lock:
            self._output.end()
            self._output.update(map(_styled, ending))
            self._output.close()

    def _draw(self) -> RenderableType:
        state = self._state
        now_s = self._clock.monotonic()
        head = Table.grid(padding=(0, 1))
        budget_s = state.run.budget_s if state.run else 0.0
        elapsed = (
            f"{duration_text(now_s - state.began_s)} of {budget_text(budget_s)}" if budget_s else ""
        )
        bar = ProgressBar(
            total=max(1, len(state.infos)), completed=len(state.ended), width=BAR_WIDTH
        )
        head.add_row(bar, Text(state.place()), Text(elapsed, style="dim"))
        parts: list[RenderableType] = [head]
        if state.current is not None:
            waits, doing = state.doing(now_s)
            sign = self._glyphs.waiting if waits else self._glyphs.action
            parts.append(_cut(f"  {state.current.title}", "bold"))
            parts.append(_cut(f"{sign} {doing}", "cyan"))
        if state.command:
            parts.append(_cut(f"  $ {state.command}", "dim"))
        if state.line:
            parts.append(_cut(f"  {self._glyphs.rule} {state.line}", "dim"))
        return Group(*parts)


def _styled(line: Line) -> Text:
    return Text(line.shown, style=_STYLES[line.manner])


def _cut(raw: str, style: str) -> Text:
    # Each line is cut to the terminal's width: lines that wrap would make the live part jump.
    return Text(
        printable(raw).replace("\t", " ").replace("\n", " "),
        style=style,
        no_wrap=True,
        overflow="ellipsis",
    )
