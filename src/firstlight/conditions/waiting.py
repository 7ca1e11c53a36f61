"""The one waiting loop: a deadline, a bound on each pause, and an error that carries the last observation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from firstlight.clock import Clock
from firstlight.conditions.condition import Condition, Observation, not_yet
from firstlight.errors import FirstlightError, Hopeless, NotReady

T = TypeVar("T")

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 3.0
"""A polled probe is asked again after 0.1 s, then after half as long again, up to this: Talos answers in milliseconds, etcd in seconds."""

SHORTEST_WATCH_S = 0.1
"""Looks at what is watched are at least this far apart: a busy cluster has events all the time, and a proxy may end every watch at once."""

LONGEST_WATCH_S = 10.0
"""A watch is given up and the list read anew at least this often: a watch that has gone silent looks like nothing happening."""

Observer = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Waited:
    """How a wait went."""

    seen: str
    elapsed_s: float
    attempts: int


def wait_for(
    condition: Condition[T], *, budget_s: float, clock: Clock, observer: Observer | None = None
) -> tuple[T, Waited]:
    """Wait until a condition holds; return what it is about, and how long it took.

    Args:
        condition: What to wait for.
        budget_s: How long at most, in seconds; the first look is taken whatever the budget is.
        clock: Where time comes from.
        observer: Is told each observation that differs from the one before, and the seconds since the start.

    Raises:
        NotReady: It did not hold within its budget.
        Hopeless: It can no longer come true.
    """
    started = clock.monotonic()
    pause_s = FIRST_PAUSE_S
    attempts = 0
    last = ""
    while True:
        attempts += 1
        observation, leave_alone_s = _look(condition)
        elapsed_s = clock.monotonic() - started
        if observation.seen != last:
            last = observation.seen
            pause_s = FIRST_PAUSE_S
            if observer is not None:
                observer(last, elapsed_s)
        if observation.holds and observation.value is not None:
            return observation.value, Waited(last, elapsed_s, attempts)
        if observation.hopeless:
            raise Hopeless(
                condition.title,
                last=last,
                elapsed_s=elapsed_s,
                budget_s=budget_s,
                attempts=attempts,
            )
        left_s = budget_s - elapsed_s
        if left_s <= 0:
            raise NotReady(
                condition.title,
                last=last,
                elapsed_s=elapsed_s,
                budget_s=budget_s,
                attempts=attempts,
            )
        if condition.changed is not None:
            _watch(condition, min(left_s, LONGEST_WATCH_S), clock)
        else:
            clock.sleep(min(left_s, max(pause_s, leave_alone_s)))
            pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)


def _look(condition: Condition[T]) -> tuple[Observation[T], float]:
    """Take one look, and say how many seconds none should follow; a failure that may pass is an observation, any other is the caller's."""
    try:
        return condition.probe(), 0.0
    except FirstlightError as error:
        if not error.retryable:
            raise
        return not_yet(error.summary), error.pause_s


def _watch(condition: Condition[T], longest_s: float, clock: Clock) -> None:
    """Block until something changed; never return at once over and over when the watch itself fails."""
    if condition.changed is None:
        return
    started = clock.monotonic()
    shortest_s = SHORTEST_WATCH_S
    try:
        condition.changed(longest_s)
    except FirstlightError as error:
        if not error.retryable:
            raise
        shortest_s = 0.5
    clock.sleep(max(0.0, min(longest_s, shortest_s) - (clock.monotonic() - started)))
