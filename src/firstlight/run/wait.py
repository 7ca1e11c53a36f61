"""`wait`: waits for conditions within the criterion's budget, and reports waits as events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from firstlight.conditions import Condition, Observation
from firstlight.errors import FirstlightError
from firstlight.events import Observed, ScenariosJudged, WaitEnded, WaitStarted
from firstlight.run.engine import Run
from firstlight.run.retry import wait_for
from firstlight.tools.concurrency import concurrently

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class Waiter:
    """Wait for conditions within the running criterion's budget."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __call__(self, condition: Condition[T]) -> T:
        """Wait until a condition holds, and return its value.

        Raises:
            NotReady: It did not hold within the criterion's budget.
            FirstlightError: It cannot be checked.
        """
        return self.wait(condition, self.run.info.budget_s)

    def each(self, conditions: Mapping[K, Condition[T]]) -> dict[K, T]:
        """Wait until every condition holds, within the criterion's budget, and return their values.

        All are checked at the same time. Then the first that does not hold yet is waited for, and
        the rest is checked again. So hundreds of healthy machines take as long as their checks, and
        every check is reported, whether it held or not.

        Raises:
            NotReady: One did not hold within what was left of the criterion's budget.
            FirstlightError: One cannot be checked.
        """
        run = self.run
        started = run.clock.monotonic()
        found: dict[K, T] = {}
        while left := {key: each for key, each in conditions.items() if key not in found}:
            checks = FirstChecks()
            results = concurrently(partial(checks.take, condition) for condition in left.values())
            taken = [
                (key, check) for key, check in zip(left, results, strict=True) if check is not None
            ]
            held = [(key, check) for key, check in taken if check.held]
            others = [(key, check) for key, check in taken if not check.held]
            for key, check in (*held, *others[:1]):
                condition = replace(left[key], probe=check.then(left[key].probe))
                elapsed_s = run.clock.monotonic() - started
                found[key] = self.wait(condition, max(0.0, run.info.budget_s - elapsed_s))
        return {key: found[key] for key in conditions}

    def wait(self, condition: Condition[T], budget_s: float) -> T:
        """Wait until a condition holds, for so many seconds at most, and return its value.

        Raises:
            NotReady: It did not hold within the budget.
            FirstlightError: It cannot be checked.
        """
        return reported_wait(self.run, condition, budget_s)


def reported_wait(
    run: Run, condition: Condition[T], budget_s: float, *, verifies: bool = True
) -> T:
    """Wait for a condition and emit events for its start, observations and end.

    Args:
        run: The run.
        condition: What to wait for.
        budget_s: How long at most, in seconds.
        verifies: Whether the wait verifies the running criterion.

    Raises:
        NotReady: It did not hold within the budget.
        FirstlightError: It cannot be checked.
    """
    started = run.clock.monotonic()
    criterion = run.current
    run.bus.emit(WaitStarted(criterion, condition.title, budget_s))
    last, attempts = "", 0

    def observe(seen: str, elapsed_s: float) -> None:
        nonlocal last
        last = run.mask(seen)
        run.bus.emit(Observed(criterion, condition.title, last, elapsed_s))

    try:
        value, waited = wait_for(
            replace(condition, probe=_reporting_scenarios(run, condition.probe)),
            budget_s=budget_s,
            clock=run.clock,
            observer=observe,
        )
        attempts = waited.attempts
    finally:
        elapsed_s = run.clock.monotonic() - started
        ok = attempts > 0
        run.bus.emit(WaitEnded(criterion, condition.title, ok, elapsed_s, last, attempts, verifies))
    return value


def _reporting_scenarios(
    run: Run, probe: Callable[[], Observation[T]]
) -> Callable[[], Observation[T]]:
    def report() -> Observation[T]:
        observation = probe()
        if observation.scenarios:
            scenarios = (replace(one, words=run.mask(one.words)) for one in observation.scenarios)
            run.bus.emit(ScenariosJudged(run.current, tuple(scenarios)))
        return observation

    return report


@dataclass(frozen=True, slots=True)
class Check(Generic[T]):
    """A check that was made before anything waited: what it saw, or why it saw nothing."""

    result: Observation[T] | FirstlightError

    @property
    def held(self) -> bool:
        """Whether the condition held."""
        return isinstance(self.result, Observation) and self.result.holds

    def then(self, probe: Callable[[], Observation[T]]) -> Callable[[], Observation[T]]:
        """Return a probe that first repeats this result, and from then on checks itself."""
        results = [self.result]

        def next_result() -> Observation[T]:
            result = results.pop() if results else probe()
            if isinstance(result, FirstlightError):
                raise result
            return result

        return next_result


class FirstChecks:
    """Checks many conditions until one does not hold; the rest can wait for that one."""

    def __init__(self) -> None:
        self._enough = threading.Event()

    def take(self, condition: Condition[T]) -> Check[T] | None:
        """Check a condition, or return None if one that does not hold was found before."""
        if self._enough.is_set():
            return None
        try:
            check = Check(condition.probe())
        except FirstlightError as error:
            check = Check(error)
        if not check.held:
            self._enough.set()
        return check
