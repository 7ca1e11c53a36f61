"""Plans on a fake clock: everything is checked once, and nothing changes."""

from __future__ import annotations

import pytest

from firstlight.checklist import Capability, CriterionInfo, Stage
from firstlight.conditions import Condition, Observation, holds
from firstlight.errors import ActionFailed, Blocked, FirstlightError
from firstlight.events import ActionPlanned, ActionSkipped, CriterionFailed, Verdict, WaitEnded
from firstlight.run import CHANGES_AHEAD, LeaveCriterion, Plan, PlannedPerformer, PlannedWaiter
from tests.run.runs import LAMP, Busy, FakeRun, Lamp, criterion, started

DARK = Busy("cannot check the lamp: it is dark")


def planned(info: CriterionInfo | None = None, *, after: int = 0) -> tuple[FakeRun, Plan]:
    """Return a plan in which a criterion has started, after so many planned actions."""
    fake = started(plan=True, info=info)
    plan = Plan(fake.run)
    for number in range(after):
        fake.run.bus.emit(ActionPlanned(LAMP, f"make socket {number + 1}"))
    fake.events.clear()
    return fake, plan


def test_a_plan_reports_a_needed_action_with_reason_and_commands_and_does_not_perform_it():
    (fake, plan), lamp = planned(), Lamp()

    with pytest.raises(LeaveCriterion) as left:
        PlannedPerformer(plan)(lamp.action)

    assert left.value.verdict is Verdict.WILL_ACT
    assert left.value.reason == "make the lamp, because the lamp is missing\n$ touch lamp"
    assert (plan.actions, plan.exit_code) == (["make the lamp"], CHANGES_AHEAD)
    assert fake.run.record.conclusion().verdict is Verdict.WILL_ACT
    assert lamp.attempts == 0


def test_a_plan_skips_an_action_that_is_not_needed():
    (fake, plan), lamp = planned(), Lamp(made=True)

    PlannedPerformer(plan)(lamp.action)

    assert fake.of(ActionSkipped) == [ActionSkipped(LAMP, "make the lamp")]
    assert plan.exit_code == 0


def test_a_plan_does_not_retry_a_check():
    (fake, plan), lamp = planned(), Lamp(dark=[DARK])

    with pytest.raises(Busy):
        PlannedPerformer(plan)(lamp.action)

    assert fake.clock.pauses == []


def test_an_action_that_cannot_be_checked_yet_follows_the_planned_ones():
    (_, plan), lamp = planned(after=1), Lamp(dark=[DARK])

    with pytest.raises(LeaveCriterion) as left:
        PlannedPerformer(plan)(lamp.action)

    assert left.value.reason == (
        f"make the lamp, because it cannot be checked yet: {DARK.summary}\n$ touch lamp"
    )
    assert plan.actions == ["make socket 1", "make the lamp"]


def test_no_planned_action_changes_that_an_action_refuses():
    (_, plan), lamp = planned(after=1), Lamp(dark=[ActionFailed("cannot make the lamp: no glass")])

    with pytest.raises(ActionFailed, match="no glass"):
        PlannedPerformer(plan)(lamp.action)


def test_an_action_after_something_wrong_names_what_has_to_be_fixed_first():
    fake, plan = planned()
    plan.block(Blocked("cannot confirm it: not so now"), "cannot confirm it: not so now")
    fake.run.conclude()
    fake.start(criterion("there-is-light"))

    with pytest.raises(LeaveCriterion) as left:
        PlannedPerformer(plan)(Lamp().action)

    assert left.value.reason.endswith("\nonce this holds: there is a lamp")


def test_a_plan_checks_a_condition_once():
    (fake, plan), lamp = planned(), Lamp(made=True)

    value = PlannedWaiter(plan)(lamp.exists)

    assert value == "lamp"
    assert fake.of(WaitEnded) == [
        WaitEnded(LAMP, "the lamp to exist", True, 0.0, "the lamp exists", 1)
    ]


def test_a_plan_does_not_wait_for_a_condition_that_does_not_hold():
    fake, plan = planned()

    with pytest.raises(Blocked, match="not so now\n  last seen no lamp exists"):
        PlannedWaiter(plan)(Lamp().exists)

    assert fake.clock.pauses == []


def active(checks: list[str]) -> Condition[str]:
    """Return a condition whose check creates test workloads."""

    def probe() -> Observation[str]:
        checks.append("created a pod")
        return holds("pods answer", "pods")

    return Condition("pods to answer", probe, passive=False)


def test_a_plan_does_not_check_what_creates_test_workloads():
    (_, plan), checks = planned(), list[str]()

    with pytest.raises(LeaveCriterion) as left:
        PlannedWaiter(plan)(active(checks))

    assert left.value.verdict is Verdict.WILL_ACT
    assert "wait for pods to answer, which creates test workloads" in left.value.reason
    assert checks == []


def test_a_plan_does_not_check_it_among_other_conditions_either():
    (_, plan), checks = planned(), list[str]()

    with pytest.raises(LeaveCriterion):
        PlannedWaiter(plan).each({"lamp": Lamp(made=True).exists, "pods": active(checks)})

    assert checks == []


@pytest.mark.parametrize(
    ("actions", "awaited"),
    [
        (0, ""),
        (1, "make socket 1"),
        (2, "make socket 1, and 1 more action"),
        (3, "make socket 1, and 2 more actions"),
    ],
)
def test_a_criterion_awaits_what_is_planned_before_it(actions: int, awaited: str):
    _, plan = planned(after=actions)

    assert plan.awaited(criterion()) == awaited


def test_preflight_awaits_only_the_talosconfig_with_which_machines_are_asked():
    asks_machines = criterion(stage=Stage.PREFLIGHT, needs=(Capability.TALOS_API,))
    _, plan = planned(after=1)

    assert plan.awaited(criterion(stage=Stage.PREFLIGHT)) == ""
    assert plan.awaited(asks_machines) == "make socket 1"


def block(fake: FakeRun, plan: Plan, error: FirstlightError) -> tuple[bool, CriterionFailed]:
    wrong = plan.block(error, str(error))
    (failed,) = fake.of(CriterionFailed)
    fake.run.conclude()
    return wrong, failed


def test_a_criterion_that_awaits_a_planned_action_is_blocked_but_not_wrong():
    fake, plan = planned(after=1)

    wrong, failed = block(fake, plan, Blocked("cannot confirm it: not so now"))

    assert not wrong
    assert failed == CriterionFailed(
        LAMP, Verdict.BLOCKED, "", "by: make socket 1\nnow: cannot confirm it: not so now"
    )
    assert (plan.blocker, plan.exit_code) == ("", CHANGES_AHEAD)


def test_the_same_observation_is_shown_only_once_in_a_row():
    fake, plan = planned(after=1)

    _, first = block(fake, plan, DARK)
    fake.start(criterion("there-is-light"))
    _, second = block(fake, plan, DARK)

    assert first.reason == f"by: make socket 1\nnow: {DARK.summary}"
    assert second.reason == "by: make socket 1"


def test_a_criterion_that_no_planned_action_precedes_is_wrong_and_blocks_the_next_ones():
    fake, plan = planned()

    wrong, failed = block(fake, plan, Blocked("cannot confirm it: not so now"))

    assert wrong
    assert (failed.error, failed.reason) == (
        "cannot confirm it: not so now",
        "by: cannot confirm it: not so now",
    )
    assert plan.blocker == plan.awaited(criterion("there-is-light")) == "there is a lamp"
