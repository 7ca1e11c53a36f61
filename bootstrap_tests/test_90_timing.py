"""Stage 90: the bootstrap took less than 30 minutes, and a second run would change nothing."""

from __future__ import annotations

from pathlib import Path

from firstlight.checklist import AC1, AC7, Box, Capability, Stage, Step, criterion
from firstlight.conditions.finish import finished_within, nothing_left_to_do
from firstlight.run import BUDGET_S, READY_AFTER, VERIFIED_AFTER, Performer, Run, Waiter


@criterion(
    Stage.TIMING,
    AC7,
    title="everything was ready within 30 minutes of the first action",
    task=8,
    budget_s=10,
    boxes=(Box.TIMING,),
    steps=(Step.VERIFY,),
)
def test_all_was_ready_within_30_minutes(run: Run, wait: Waiter) -> None:
    took = run.counted(READY_AFTER)

    wait(finished_within(READY_AFTER, took.seconds, why=took.why, budget_s=BUDGET_S))


@criterion(
    Stage.TIMING,
    AC7,
    title="everything was verified within 30 minutes of the first action",
    task=8,
    budget_s=10,
    boxes=(Box.TIMING,),
    steps=(Step.VERIFY,),
)
def test_all_was_verified_within_30_minutes(run: Run, wait: Waiter) -> None:
    took = run.counted(VERIFIED_AFTER)

    wait(finished_within(VERIFIED_AFTER, took.seconds, why=took.why, budget_s=BUDGET_S))


@criterion(Stage.TIMING, AC1, title="a second run would change nothing", task=9, budget_s=120)
def test_a_second_run_would_act_on_nothing(perform: Performer, wait: Waiter) -> None:
    wait(nothing_left_to_do(perform.performed, perform.need))


@criterion(
    Stage.TIMING,
    AC7,
    title="the timing is written into the runbook",
    task=10,
    budget_s=30,
    needs=(Capability.LASTING,),
)
def test_the_timing_is_written_into_the_runbook(run: Run, timings_written: Path) -> None:
    assert f"| {run.definition.name} | {run.target.name} |" in timings_written.read_text()
