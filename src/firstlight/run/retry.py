"""All retry policy: which failures are retried, how often, for how long, and with which pause.

Three things are repeated, each with a deadline: checking a condition until it holds (`wait_for`),
checking whether an action is needed while the API flaps (`CHECK_S`), and performing an action that
failed for a reason that passes by itself (`Attempts`). Everything that failed for any other reason
is fatal at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from firstlight.clock import Clock
from firstlight.conditions.condition import Condition, Observation, not_yet
from firstlight.errors import FirstlightError, NotReady, Unsatisfiable
from firstlight.failures import FailureClass
from firstlight.process import ToolFailed

T = TypeVar("T")

FIRST_PAUSE_S: Final = 0.1
PAUSE_GROWTH: Final = 1.5
LONGEST_PAUSE_S: Final = 3.0
"""A polled condition is checked again after 0.1 s, then after half as long again, up to this.

Talos answers in milliseconds, etcd forms in seconds."""

SHORTEST_WATCH_S: Final = 0.1
"""The minimum time between two checks of a watched condition.

A busy cluster has events all the time, and a proxy may close every watch at once."""

FAILED_WATCH_S: Final = 0.5
"""The minimum time between two checks when the watch itself failed."""

LONGEST_WATCH_S: Final = 10.0
"""A watch is abandoned and the list read again after this long.

A watch that went silent looks the same as nothing happening."""

CHECK_S: Final = 60.0
"""How long the check whether an action is needed is retried, or its criterion's budget if longer.

The API flaps for about a minute while etcd forms."""

ATTEMPTS_MIN: Final = 3
ATTEMPTS_S: Final = 120.0
"""An action is attempted at least three times and for at least two minutes.

Connections break for about a minute while control plane nodes join, and an attempt may fail within
a second."""

ATTEMPT_PAUSE_S: Final = 2.0
"""The pause after the first attempt; it grows by as much with each of the first attempts."""

ETCD_BOOTSTRAP_S: Final = 600.0
"""How long a machine may refuse `talosctl bootstrap` for now; Talos's client retries as long."""

Observer = Callable[[str, float], None]
"""Receives each observation that differs from the previous one, and the seconds since the start."""


def is_retried(error: FirstlightError) -> bool:
    """Report whether the same attempt may succeed later; unknown errors do not count."""
    return error.failure_class in (FailureClass.RETRY, FailureClass.WAIT)


def pause_after(error: FirstlightError) -> float:
    """Return for how many seconds an attempt must not be repeated, 0 if repeating costs nothing."""
    return error.row.pause_s if error.row is not None else 0.0


@dataclass(slots=True)
class Attempts:
    """Counts the attempts of one action and decides whether to try again.

    Attributes:
        clock: Where time comes from.
        factor: Multiplies every duration, for slow machines.
    """

    clock: Clock
    factor: float
    number: int = 1
    started: float = -1.0

    def __post_init__(self) -> None:
        """Note the start."""
        self.started = self.clock.monotonic()

    def again(self, error: FirstlightError) -> bool:
        """Pause and return True to attempt the action again, or return False at once."""
        pause_s = pause_after(error)
        # Where each attempt makes things worse, as with an exhausted quota, there are few of them.
        longest_s = 0.0 if pause_s else ATTEMPTS_S * self.factor
        over = self.clock.monotonic() - self.started > longest_s
        if not is_retried(error) or (self.number >= ATTEMPTS_MIN and over):
            return False
        own_s = ATTEMPT_PAUSE_S * min(self.number, ATTEMPTS_MIN)
        self.clock.sleep(max(own_s, pause_s * self.factor))
        self.number += 1
        return True


@dataclass(frozen=True, slots=True)
class Waited:
    """How a wait went."""

    seen: str
    elapsed_s: float
    attempts: int


def wait_for(
    condition: Condition[T],
    *,
    budget_s: float,
    clock: Clock,
    observer: Observer | None = None,
) -> tuple[T, Waited]:
    """Wait until a condition holds, and return its value and how the wait went.

    Args:
        condition: What to wait for.
        budget_s: How long at most, in seconds; the condition is checked once whatever the budget
            is.
        clock: Where time comes from.
        observer: Receives observations.

    Raises:
        NotReady: It did not hold within the budget.
        Unsatisfiable: It can no longer become true.
        FirstlightError: It cannot be checked, for a reason that does not pass.
    """
    started = clock.monotonic()
    pause_s = FIRST_PAUSE_S
    attempts = 0
    last = ""
    while True:
        attempts += 1
        observation, avoid_s = _check(condition)
        elapsed_s = clock.monotonic() - started
        if observation.seen != last:
            last = observation.seen
            pause_s = FIRST_PAUSE_S
            if observer is not None:
                observer(last, elapsed_s)
        if observation.holds and observation.value is not None:
            return observation.value, Waited(last, elapsed_s, attempts)
        left_s = budget_s - elapsed_s
        if observation.unsatisfiable or left_s <= 0:
            kind = Unsatisfiable if observation.unsatisfiable else NotReady
            raise kind(
                condition.title,
                last=last,
                elapsed_s=elapsed_s,
                budget_s=budget_s,
                attempts=attempts,
                rows=condition.rows(observation),
            )
        if condition.changed is not None:
            _watch(condition.changed, min(left_s, LONGEST_WATCH_S), clock)
        else:
            clock.sleep(min(left_s, max(pause_s, avoid_s)))
            pause_s = min(pause_s * PAUSE_GROWTH, LONGEST_PAUSE_S)


def _check(condition: Condition[T]) -> tuple[Observation[T], float]:
    """Check once, and return for how many seconds not to check again.

    A failure that may pass is an observation; any other is the caller's.
    """
    try:
        return condition.probe(), 0.0
    except FirstlightError as error:
        if not is_retried(error):
            raise
        # A tool's text is matched where it is shown; only our own errors have to name their rows.
        rows = () if isinstance(error, ToolFailed) else tuple(row.id for row in error.rows)
        return not_yet(error.summary, rows=rows), pause_after(error)


def _watch(changed: Callable[[float], None], longest_s: float, clock: Clock) -> None:
    """Block until something changed, but never return at once over and over if the watch fails."""
    started = clock.monotonic()
    shortest_s = SHORTEST_WATCH_S
    try:
        changed(longest_s)
    except FirstlightError as error:
        if not is_retried(error):
            raise
        shortest_s = FAILED_WATCH_S
    clock.sleep(max(0.0, min(longest_s, shortest_s) - (clock.monotonic() - started)))
