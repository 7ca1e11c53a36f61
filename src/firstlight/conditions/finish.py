"""Conditions of a finished bootstrap: it was fast enough, and nothing is left to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from firstlight.conditions.condition import Condition, Observation, holds, never
from firstlight.formatting import duration_text


class Titled(Protocol):
    """Anything with a title; conditions do not depend on actions otherwise."""

    @property
    def title(self) -> str:
        """Verb and noun."""
        ...


A = TypeVar("A", bound=Titled)


def finished_within(
    stage: str, elapsed_s: float | None, *, why: str, budget_s: float
) -> Condition[float]:
    """Check that a bootstrap took less than its budget; the value is the duration in seconds.

    Args:
        stage: The last stage that counts (`50-flux`).
        elapsed_s: Seconds from the first action until all criteria up to that stage were met,
            None if unknown.
        why: Why that is unknown.
        budget_s: How long it may take, in seconds.
    """

    def probe() -> Observation[float]:
        if elapsed_s is None:
            return never(why)
        seen = f"{duration_text(elapsed_s)} of {duration_text(budget_s)}"
        return holds(seen, elapsed_s) if elapsed_s < budget_s else never(seen, rows=("FL-105",))

    return Condition(f"everything up to {stage} to be done within {duration_text(budget_s)}", probe)


def nothing_left_to_do(actions: Sequence[A], need: Callable[[A], str | None]) -> Condition[int]:
    """Check that no action of this run is needed any more; the value counts the actions."""

    def probe() -> Observation[int]:
        if not actions:
            return never("this run includes no actions: run all stages")
        reasons = {action.title: need(action) for action in actions}
        left = [f"{title}, because {reason}" for title, reason in reasons.items() if reason]
        return (
            never("; ".join(left))
            if left
            else holds(f"{len(actions)} actions, none needed", len(actions))
        )

    return Condition("no action to be needed", probe, row="FL-235")
