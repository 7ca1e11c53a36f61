"""Stage 90: it took less than thirty minutes, and doing it again changes nothing."""

from __future__ import annotations

from pathlib import Path

from firstlight.conditions.finish import finished_within, nothing_left_to_do
from firstlight.target import Capability
from fixtures.criterion import criterion
from fixtures.performing import Performer, Waiter
from fixtures.run import BUDGET_S, Run

BOX = ("Bootstrap completed in < 30 minutes",)


@criterion(
    "AC7", "all was ready within 30 minutes of the first action", task=8, budget_s=10, boxes=BOX
)
def test_all_was_ready_within_30_minutes(run: Run, wait: Waiter) -> None:
    assert (
        wait(finished_within("50-flux", run.spans()[0], why=run.unmet, budget_s=BUDGET_S))
        < BUDGET_S
    )


@criterion(
    "AC7", "all was verified within 30 minutes of the first action", task=8, budget_s=10, boxes=BOX
)
def test_all_was_verified_within_30_minutes(run: Run, wait: Waiter) -> None:
    assert (
        wait(finished_within("70-cilium", run.spans()[1], why=run.unmet, budget_s=BUDGET_S))
        < BUDGET_S
    )


@criterion("AC1", "a second run would act on nothing", task=9, budget_s=120)
def test_a_second_run_would_act_on_nothing(perform: Performer, wait: Waiter) -> None:
    assert wait(nothing_left_to_do(perform.performed, perform.need)) == len(perform.performed)


@criterion(
    "AC7",
    "the timing is written into the runbook",
    task=10,
    budget_s=30,
    needs=(Capability.LASTING,),
)
def test_the_timing_is_written_into_the_runbook(run: Run, timings_written: Path) -> None:
    assert f"| {run.definition.name} | {run.target.name} |" in timings_written.read_text()
