"""A condition: what must be true, how one look at it is taken, and how to learn that it may have changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from firstlight.events import ScenarioInfo

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Observation(Generic[T]):
    """What one look saw.

    Attributes:
        holds: Whether the condition is true.
        seen: What was seen, on one line, whether it holds or not.
        value: What the assertion is about; present whenever the condition holds.
        hopeless: Whether waiting longer cannot help.
        scenarios: What a tool that tests by itself found, one by one.
    """

    holds: bool
    seen: str
    value: T | None = None
    hopeless: bool = False
    scenarios: tuple[ScenarioInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition(Generic[T]):
    """Something that is to become true.

    Attributes:
        title: Completes the phrase "waiting for ...".
        probe: Takes one look, bounded in time by itself. It may raise a `FirstlightError`; a retryable one counts as an observation.
        changed: Blocks until something it depends on may have changed, or for so many seconds at most; none when it can only be polled.
        passive: Whether a look leaves the cluster as it is. One that makes test workloads of its own does not, and no plan takes it.
    """

    title: str
    probe: Callable[[], Observation[T]]
    changed: Callable[[float], None] | None = None
    passive: bool = True


def holds(seen: str, value: T, *, scenarios: tuple[ScenarioInfo, ...] = ()) -> Observation[T]:
    """Say that it is so."""
    return Observation(holds=True, seen=seen, value=value, scenarios=scenarios)


def not_yet(seen: str) -> Observation[T]:
    """Say that it is not so yet."""
    return Observation(holds=False, seen=seen)


def never(seen: str, *, scenarios: tuple[ScenarioInfo, ...] = ()) -> Observation[T]:
    """Say that it can no longer become so."""
    return Observation(holds=False, seen=seen, hopeless=True, scenarios=scenarios)
