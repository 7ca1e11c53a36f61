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

_ALMOST = 0.95
"""A step without a count is never shown as finished before it is."""

_TRUST = 0.1
"""The part of the work whose expected time counts as measured."""

_REDRAW_S = 0.1
"""Time between two drawings; Go may compile hundreds of packages a second."""


class Display(Protocol):
    """Shows the progress of setup, step by step."""

    def plan(self, expected_s: float) -> None:
        """Expect the following steps to take this long together, in seconds."""

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
        self.expected_s = expected_s
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

    def done_s(self, now: float) -> float:
        """Return how much of the expected time its progress stands for, in seconds."""
        elapsed = now - self.begun_s
        if self.total:
            return self.expected_s * self.done / self.total
        return min(elapsed, self.expected_s * _ALMOST)


class _Whole:
    """All steps together: how far they are, and how long the rest takes."""

    def __init__(self, expected_s: float, begun_s: float) -> None:
        self._expected_s = expected_s
        self._begun_s = begun_s
        self._finished_s = 0.0

    def finish(self, step: _Step) -> None:
        """Count a step that has ended."""
        self._finished_s += step.expected_s

    def fraction(self, step: _Step, now: float) -> float:
        """Return how much of the work is done, from 0 to 1."""
        return min(self._done_s(step, now) / self._expected_s, 1.0)

    def left(self, step: _Step, now: float) -> str:
        """Return how long the rest takes if this machine goes on as it has begun."""
        done_s = self._done_s(step, now)
        # The expectation counts as much as the first part of the work, so that a slow first
        # second does not multiply it.
        trusted_s = self._expected_s * _TRUST
        pace = (now - self._begun_s + trusted_s) / (done_s + trusted_s)
        return f"about {seconds(max(self._expected_s - done_s, 0.0) * pace)} left"

    def _done_s(self, step: _Step, now: float) -> float:
        return self._finished_s + step.done_s(now)


class _Steps:
    """What a display knows: the current step, and the whole if it has been planned."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.step = _Step("", 0.0, clock())
        self.whole: _Whole | None = None

    def plan(self, expected_s: float) -> None:
        self.whole = _Whole(expected_s, self.clock()) if expected_s > 0 else None

    def begin(self, name: str, expected_s: float) -> None:
        self.step = _Step(name, expected_s, self.clock())

    def end(self) -> None:
        if self.whole:
            self.whole.finish(self.step)

    @property
    def time(self) -> str:
        """The time left of the whole, else the time of the step so far."""
        if self.whole:
            return self.whole.left(self.step, self.clock())
        expected = f" of {self.step.expected}" if self.step.expected else ""
        return f"{self.elapsed}{expected}"

    @property
    def elapsed(self) -> str:
        return seconds(self.clock() - self.step.begun_s)


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
        self._every_s = every_s
        self._steps = _Steps(clock)

    def plan(self, expected_s: float) -> None:
        """Expect the following steps to take this long together, in seconds."""
        self._steps.plan(expected_s)

    def say(self, line: str) -> None:
        """Write the line."""
        self._output.write(f"{self._label}: {line}")

    def begin(self, step: str, expected_s: float) -> None:
        """Write that the step begins."""
        self._steps.begin(step, expected_s)
        expected = self._steps.step.expected
        self.say(f"{step} ({expected})" if expected else step)

    def update(self, done: int, total: int, detail: str) -> None:
        """Set the progress, and write it if the last line is old."""
        step = self._steps.step
        step.done, step.total, step.detail = done, total, detail
        self.tick()

    def tick(self) -> None:
        """Write the progress if the last line is old."""
        if self._output.silent_for_s < self._every_s:
            return
        step = self._steps.step
        progress = f"{step.count} {step.detail}, " if step.count else ""
        self.say(f"{step.name}: {progress}{self._steps.time}")

    def end(self, result: str) -> None:
        """Write the result of the step and how long it took."""
        self._steps.end()
        self.say(f"{self._steps.step.name}: {result} in {self._steps.elapsed}")


class LiveDisplay:
    """A bar that is redrawn in place."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = LiveOutput(stream, self._draw)
        self._steps = _Steps(clock)
        self._clock = clock
        self._drawn_s = clock()

    def plan(self, expected_s: float) -> None:
        """Expect the following steps to take this long together, in seconds."""
        self._steps.plan(expected_s)

    def say(self, line: str) -> None:
        """Print the line above the bar."""
        self._output.update([Text(line)])

    def begin(self, step: str, expected_s: float) -> None:
        """Draw the bar."""
        self._steps.begin(step, expected_s)
        self._output.begin()
        self.tick()

    def update(self, done: int, total: int, detail: str) -> None:
        """Move the bar."""
        step = self._steps.step
        step.done, step.total, step.detail = done, total, detail
        if self._clock() - self._drawn_s >= _REDRAW_S:
            self.tick()

    def tick(self) -> None:
        """Redraw the bar."""
        self._drawn_s = self._clock()
        self._output.update()

    def end(self, result: str) -> None:
        """Remove the bar and leave one line."""
        self._steps.end()
        self._output.end()
        self.say(f"{self._steps.step.name}: {result} in {self._steps.elapsed}")

    def _draw(self) -> RenderableType:
        step, whole = self._steps.step, self._steps.whole
        if whole:
            done, total = whole.fraction(step, self._clock()), 1.0
        else:
            done, total = float(step.done), float(step.total)
        bar = ProgressBar(total=total or None, completed=done, width=BAR_WIDTH, pulse=not total)
        head = Table.grid(padding=(0, 1))
        head.add_row(Text(step.name), bar, Text(self._steps.time, style="dim"))
        progress = f"  {step.count} {step.detail}"
        # A line that wraps would make the bar jump.
        return Group(head, Text(progress, style="dim", no_wrap=True, overflow="ellipsis"))
