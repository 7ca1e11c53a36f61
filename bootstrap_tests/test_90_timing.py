"""Stage 90: it took less than thirty minutes, and doing it again changes nothing."""

from __future__ import annotations

from pathlib import Path

from firstlight.target import Capability
from fixtures.criterion import criterion
from fixtures.performing import Performer
from fixtures.run import BUDGET_S, Run

BOX = ("Bootstrap completed in < 30 minutes",)


@criterion("AC7", "all was ready within 30 minutes of the first action", task=8, budget_s=10, boxes=BOX)
def test_all_was_ready_within_30_minutes(run: Run) -> None:
    ready_s, _ = run.spans()

    run.say(f"ready {ready_s:.0f} s after the first action" if ready_s is not None else "not every criterion up to stage 50 has been met")
    assert ready_s is not None
    assert ready_s < BUDGET_S


@criterion("AC7", "all was verified within 30 minutes of the first action", task=8, budget_s=10, boxes=BOX)
def test_all_was_verified_within_30_minutes(run: Run) -> None:
    _, verified_s = run.spans()

    run.say(f"verified {verified_s:.0f} s after the first action" if verified_s is not None else "not every criterion up to stage 70 has been met")
    assert verified_s is not None
    assert verified_s < BUDGET_S


@criterion("AC1", "a second run would act on nothing", task=9, budget_s=120)
def test_a_second_run_would_act_on_nothing(run: Run, perform: Performer) -> None:
    needed = {action.title: perform.need(action) for action in perform.performed}

    run.say(f"{len(needed)} actions, none needed" if not any(needed.values()) else str({k: v for k, v in needed.items() if v}))
    assert needed
    assert [f"{title}: {reason}" for title, reason in needed.items() if reason] == []


@criterion("AC7", "the timing is written into the runbook", task=10, budget_s=30, needs=(Capability.LASTING,))
def test_the_timing_is_written_into_the_runbook(run: Run, timings_written: Path) -> None:
    assert f"| {run.definition.name} | {run.target.name} |" in timings_written.read_text()
