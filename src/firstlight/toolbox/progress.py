"""Show how far set-up is: a live bar in a terminal, plain lines at a bounded rate elsewhere."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable

# A line every so often is enough to see that it lives and does not fill a CI log.
_PLAIN_EVERY_S = 15.0
# What a package's path may take of a terminal's line; its end says most.
_DETAIL_WIDTH = 40


class Display(Protocol):
    """How far set-up is, step by step."""

    def say(self, line: str) -> None:
        """Show a line that stays."""

    def begin(self, step: str, expected_s: float) -> None:
        """Start a step that takes about this long."""

    def update(self, done: int, total: int, detail: str) -> None:
        """Say how far the step is; a total of 0 means that it is not known."""

    def tick(self) -> None:
        """Say that time went by."""

    def end(self, result: str) -> None:
        """Finish the step."""


def display_for(
    stream: TextIO, *, clock: Callable[[], float] = time.monotonic, label: str = "tools"
) -> Display:
    """Return the display that suits the stream; the label begins each line of a log."""
    if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return LiveDisplay(Console(file=stream))
    return PlainDisplay(stream, clock=clock, label=label)


def seconds(value: float) -> str:
    """Write a duration as a person says it."""
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} m {rest:02d} s" if minutes else f"{rest} s"


class PlainDisplay:
    """Lines for a log: at most one per interval, plus the first and the last of each step."""

    def __init__(
        self,
        stream: TextIO,
        *,
        clock: Callable[[], float] = time.monotonic,
        every_s: float = _PLAIN_EVERY_S,
        label: str = "tools",
    ) -> None:
        self._stream = stream
        self._label = label
        self._clock = clock
        self._every_s = every_s
        self._step = ""
        self._expected_s = 0.0
        self._begun = self._shown = clock()
        self._far = ""

    def say(self, line: str) -> None:
        """Write the line."""
        self._stream.write(f"{self._label}: {line}\n")
        self._stream.flush()

    def begin(self, step: str, expected_s: float) -> None:
        """Write that the step begins."""
        self._step, self._expected_s, self._far = step, expected_s, ""
        self._begun = self._shown = self._clock()
        about = f" (about {seconds(expected_s)})" if expected_s >= 1 else ""
        self.say(f"{step}{about}")

    def update(self, done: int, total: int, detail: str) -> None:
        """Remember how far the step is and write it if the last line is long ago."""
        count = f"{done} of {total}" if total else f"{done}"
        self._far = f"{count} {detail}"
        self.tick()

    def tick(self) -> None:
        """Write how far the step is if the last line is long ago."""
        now = self._clock()
        if now - self._shown < self._every_s:
            return
        self._shown = now
        about = f" of about {seconds(self._expected_s)}" if self._expected_s >= 1 else ""
        far = f"{self._far}, " if self._far else ""
        self.say(f"{self._step}: {far}{seconds(now - self._begun)}{about}")

    def end(self, result: str) -> None:
        """Write how the step ended and what it took."""
        self.say(f"{self._step}: {result} in {seconds(self._clock() - self._begun)}")


class LiveDisplay:
    """A bar that is redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Progress | None = None
        self._bar: TaskID | None = None
        self._step = ""
        self._begun = 0.0

    def say(self, line: str) -> None:
        """Print the line above the bar."""
        self._console.print(line, markup=False, highlight=False)

    def begin(self, step: str, expected_s: float) -> None:
        """Draw the bar."""
        about = f"of about {seconds(expected_s)}" if expected_s >= 1 else ""
        self._step, self._begun = step, time.monotonic()
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[far]}", markup=False),
            TimeElapsedColumn(),
            TextColumn(about, markup=False),
            console=self._console,
            transient=True,
        )
        self._bar = self._bars.add_task(step, total=None, far="")
        self._bars.start()

    def update(self, done: int, total: int, detail: str) -> None:
        """Move the bar."""
        if self._bars is not None and self._bar is not None:
            count = f"{done} of {total}" if total else f"{done}"
            short = detail if len(detail) <= _DETAIL_WIDTH else f"...{detail[3 - _DETAIL_WIDTH :]}"
            self._bars.update(
                self._bar, completed=done, total=total or None, far=f"{count} {short}"
            )

    def tick(self) -> None:
        """Leave the redrawing to the bar, which has its own clock."""

    def end(self, result: str) -> None:
        """Remove the bar and leave one line."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
        self.say(f"{self._step}: {result} in {seconds(time.monotonic() - self._begun)}")
