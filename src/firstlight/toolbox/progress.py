"""Show the progress of setup: a live bar in a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Protocol, TextIO

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from firstlight.terminal import BAR_WIDTH, SILENCE_S, LiveOutput, PlainOutput, can_redraw

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

_REDRAW_S = 0.1
"""Time between two drawings; Go may compile hundreds of packages a second."""


class Display(Protocol):
    """Shows the progress of setup, step by step."""

    def say(self, line: str) -> None:
        """Show a line that stays."""

    def begin(self, step: str, expected_s: float) -> None:
        """Start a step that takes about this long, in seconds."""

    def update(self, done: int, total: int, detail: str) -> None:
        """Set the progress of the step; a total of 0 means unknown."""

    def tick(self) -> None:
        """Show that time has passed."""

    def end(self, result: str) -> None:
        """Finish the step."""


def display_for(
    stream: TextIO, *, clock: Callable[[], float] = time.monotonic, label: str = "tools"
) -> Display:
    """Return the display that suits the stream; the label starts each line of a log."""
    if can_redraw(stream, os.environ):
        return LiveDisplay(stream, clock=clock)
    return PlainDisplay(stream, clock=clock, label=label)


def seconds(value: float) -> str:
    """Return a duration in whole seconds: `59 s`, `8 m 00 s`."""
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} m {rest:02d} s" if minutes else f"{rest} s"


class _Step:
    """The current step and its progress."""

    def __init__(self, name: str, expected_s: float, begun_s: float) -> None:
        self.name = name
        self.begun_s = begun_s
        self.done = 0
        self.total = 0
        self.detail = ""
        self.expected = f"about {seconds(expected_s)}" if expected_s >= 1 else ""

    @property
    def count(self) -> str:
        """The progress in numbers, empty before the first update."""
        if not self.detail:
            return ""
        return f"{self.done} of {self.total}" if self.total else f"{self.done}"


class PlainDisplay:
    """Lines for a log: the first and last of each step, and at most one per interval between."""

    def __init__(
        self,
        stream: TextIO,
        *,
        clock: Callable[[], float] = time.monotonic,
        every_s: float = SILENCE_S,
        label: str = "tools",
    ) -> None:
        self._output = PlainOutput(stream, clock)
        self._label = label
        self._clock = clock
        self._every_s = every_s
        self._step = _Step("", 0.0, clock())

    def say(self, line: str) -> None:
        """Write the line."""
        self._output.write(f"{self._label}: {line}")

    def begin(self, step: str, expected_s: float) -> None:
        """Write that the step begins."""
        self._step = _Step(step, expected_s, self._clock())
        self.say(f"{step} ({self._step.expected})" if self._step.expected else step)

    def update(self, done: int, total: int, detail: str) -> None:
        """Set the progress, and write it if the last line is old."""
        self._step.done, self._step.total, self._step.detail = done, total, detail
        self.tick()

    def tick(self) -> None:
        """Write the progress if the last line is old."""
        if self._output.silent_for_s < self._every_s:
            return
        step = self._step
        progress = f"{step.count} {step.detail}, " if step.count else ""
        expected = f" of {step.expected}" if step.expected else ""
        elapsed = seconds(self._clock() - step.begun_s)
        self.say(f"{step.name}: {progress}{elapsed}{expected}")

    def end(self, result: str) -> None:
        """Write the result of the step and how long it took."""
        elapsed = seconds(self._clock() - self._step.begun_s)
        self.say(f"{self._step.name}: {result} in {elapsed}")


class LiveDisplay:
    """A bar that is redrawn in place."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = LiveOutput(stream, self._draw)
        self._clock = clock
        self._step = _Step("", 0.0, clock())
        self._drawn_s = clock()

    def say(self, line: str) -> None:
        """Print the line above the bar."""
        self._output.update([Text(line)])

    def begin(self, step: str, expected_s: float) -> None:
        """Draw the bar."""
        self._step = _Step(step, expected_s, self._clock())
        self._output.begin()
        self.tick()

    def update(self, done: int, total: int, detail: str) -> None:
        """Move the bar."""
        self._step.done, self._step.total, self._step.detail = done, total, detail
        if self._clock() - self._drawn_s >= _REDRAW_S:
            self.tick()

    def tick(self) -> None:
        """Redraw the bar."""
        self._drawn_s = self._clock()
        self._output.update()

    def end(self, result: str) -> None:
        """Remove the bar and leave one line."""
        self._output.end()
        elapsed = seconds(self._clock() - self._step.begun_s)
        self.say(f"{self._step.name}: {result} in {elapsed}")

    def _draw(self) -> RenderableType:
        step = self._step
        expected = f" of {step.expected}" if step.expected else ""
        elapsed = f"{seconds(self._clock() - step.begun_s)}{expected}"
        bar = ProgressBar(
            total=step.total or None,
            completed=step.done,
            width=BAR_WIDTH,
            pulse=not step.total,
        )
        head = Table.grid(padding=(0, 1))
        head.add_row(Text(step.name), bar, Text(elapsed, style="dim"))
        progress = f"  {step.count} {step.detail}"
        # A line that wraps would make the bar jump.
        return Group(head, Text(progress, style="dim", no_wrap=True, overflow="ellipsis"))
