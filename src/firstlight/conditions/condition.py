"""A condition: what must be true, how to check it, and how to notice that it may have changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from firstlight.events import ScenarioInfo

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Observation(Generic[T]):
    """What one check saw.

    Attributes:
        holds: Whether the condition is true.
        seen: What was seen, on one line, whether it holds or not.
        value: What the condition is about; always present if it holds.
        unsatisfiable: Whether waiting longer cannot help.
        scenarios: The outcome of each scenario that a tool judged by itself.
        rows: The rows of the failure catalogue that explain what was seen.
    """

    holds: bool
    seen: str
    value: T | None = None
    unsatisfiable: bool = False
    scenarios: tuple[ScenarioInfo, ...] = ()
    rows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition(Generic[T]):
    """Something that is to become true.

    Attributes:
        title: Completes the phrase "waiting for ...".
        probe: Checks once, with a time limit of its own. It may raise a `FirstlightError`; one that
            is retried counts as an observation.
        changed: Blocks until something that it depends on may have changed, or for the given
            seconds; None if it can only be polled.
        passive: Whether a check leaves the cluster as it is. A plan skips one that creates test
            workloads.
        row: The row of the failure catalogue that explains why it does not hold, empty if unknown.
    """

    title: str
    probe: Callable[[], Observation[T]]
    changed: Callable[[float], None] | None = None
    passive: bool = True
    row: str = ""

    def rows(self, observation: Observation[T]) -> tuple[str, ...]:
        """Return the rows of the failure catalogue that explain an observation."""
        return (*observation.rows, *filter(None, (self.row,)))


def holds(seen: str, value: T, *, scenarios: tuple[ScenarioInfo, ...] = ()) -> Observation[T]:
    """Return the observation of a condition that is true."""
    return Observation(holds=True, seen=seen, value=value, scenarios=scenarios)


def not_yet(seen: str, *, rows: tuple[str, ...] = ()) -> Observation[T]:
    """Return the observation of a condition that is not true yet."""
    return Observation(holds=False, seen=seen, rows=rows)


def never(
    seen: str, *, scenarios: tuple[ScenarioInfo, ...] = (), rows: tuple[str, ...] = ()
) -> Observation[T]:
    """Return the observation of a condition that can no longer become true."""
    return Observation(holds=False, seen=seen, unsatisfiable=True, scenarios=scenarios, rows=rows)
