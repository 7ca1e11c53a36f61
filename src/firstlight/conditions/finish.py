"""Conditions of a finished bootstrap: it was in time, and there is nothing left to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from firstlight.conditions.condition import Condition, Observation, holds, never
from firstlight.span import span_text


class Titled(Protocol):
    """What an action is called; conditions know nothing else of actions."""

    @property
    def title(self) -> str:
        """Verb and noun."""
        ...


A = TypeVar("A", bound=Titled)


def finished_within(
    stage: str, elapsed_s: float | None, *, why: str, budget_s: float
) -> Condition[float]:
    """Say whether every criterion up to a stage was met within so many seconds of the bootstrap's first action; its value is how many.

    Args:
        stage: The last stage that counts (`50-flux`).
        elapsed_s: From the first action to the last of these criteria, none when that cannot be told.
        why: Why it cannot be told, empty when there is no first action.
        budget_s: How long it may take, in seconds.
    """

    def probe() -> Observation[float]:
        if elapsed_s is None:
            return never(
                why or "no action of this bootstrap is on record, so there is nothing to count from"
            )
        seen = f"{span_text(elapsed_s)} of {span_text(budget_s)}"
        return holds(seen, elapsed_s) if elapsed_s < budget_s else never(seen)

    return Condition(f"everything up to {stage} to be done within {span_text(budget_s)}", probe)


def nothing_left_to_do(actions: Sequence[A], need: Callable[[A], str | None]) -> Condition[int]:
    """Say whether every action of this run, looked at once more, is no longer needed; its value is how many were looked at."""

    def probe() -> Observation[int]:
        if not actions:
            return never("this run includes no action: run all stages")
        reasons = {action.title: need(action) for action in actions}
        left = [f"{title}, because {reason}" for title, reason in reasons.items() if reason]
        return (
            never("; ".join(left))
            if left
            else holds(f"{len(actions)} actions, none needed", len(actions))
        )

    return Condition("no action to be needed", probe)
