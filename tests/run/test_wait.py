"""`wait` and `wait.each` on a fake clock: budgets, and the events that report a wait."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.conditions import Condition, Observation, holds, not_yet
from firstlight.errors import FirstlightError, NotReady
from firstlight.events import (
    Observed,
    ScenarioInfo,
    ScenariosJudged,
    ScenarioStanding,
    WaitEnded,
    WaitStarted,
)
from firstlight.run import Waiter
from tests.clocks import FakeClock
from tests.run.runs import BUDGET_S, LAMP, Busy, FakeRun, criterion, started


class TickingClock(FakeClock):
    """A fake clock that also moves by a microsecond whenever it is read."""

    def monotonic(self) -> float:
        self.seconds += 1e-6
        return self.seconds


def from_(second: float, clock: FakeClock, name: str = "it") -> Condition[str]:
    """Return a condition that holds from this second on."""

    def probe() -> Observation[str]:
        return (
            holds(f"{name} is on", name) if clock.seconds >= second else not_yet(f"{name} is off")
        )

    return Condition(f"{name} to be on", probe)


def failing(*errors: FirstlightError) -> Condition[str]:
    """Return a condition whose first checks fail with these errors."""
    queue = list(errors)

    def probe() -> Observation[str]:
        if queue:
            raise queue.pop(0)
        return holds("it is on", "it")

    return Condition("it to be on", probe)


def waits(fake: FakeRun) -> list[tuple[str, bool, int]]:
    return [(event.condition, event.ok, event.attempts) for event in fake.of(WaitEnded)]


def test_a_wait_is_reported_from_start_to_end():
    fake = started()

    value = Waiter(fake.run)(from_(0.2, fake.clock))

    assert value == "it"
    assert fake.events == [
        WaitStarted(LAMP, "it to be on", BUDGET_S),
        Observed(LAMP, "it to be on", "it is off", 0.0),
        Observed(LAMP, "it to be on", "it is on", fake.clock.seconds),
        WaitEnded(LAMP, "it to be on", True, fake.clock.seconds, "it is on", 3),
    ]


def test_a_wait_that_fails_is_reported_with_its_last_observation():
    fake = started()

    with pytest.raises(NotReady, match="not so within 30 s\n  last seen it is off"):
        Waiter(fake.run)(from_(1000, fake.clock))

    (end,) = fake.of(WaitEnded)
    assert (end.ok, end.last, end.elapsed_s) == (False, "it is off", pytest.approx(BUDGET_S))


def test_a_secret_in_an_observation_is_masked():
    fake = started()
    fake.run.mask.learn("hunter2-hunter2")

    Waiter(fake.run)(Condition("it", lambda: holds("the password is hunter2-hunter2", "it")))

    assert [event.seen for event in fake.of(Observed)] == ["the password is ********"]
    assert [event.last for event in fake.of(WaitEnded)] == ["the password is ********"]


def test_scenarios_that_a_tool_judged_are_reported():
    fake, scenario = started(), ScenarioInfo("pod-to-pod", ScenarioStanding.PASSED)

    Waiter(fake.run)(Condition("it", lambda: holds("it is on", "it", scenarios=(scenario,))))

    assert fake.of(ScenariosJudged) == [ScenariosJudged(LAMP, (scenario,))]


def test_each_returns_every_value_in_order_after_one_check_of_each():
    fake = started()
    conditions = {number: from_(0, fake.clock, f"lamp {number}") for number in range(40)}

    values = Waiter(fake.run).each(conditions)

    assert list(values.items()) == [(number, f"lamp {number}") for number in range(40)]
    assert waits(fake) == [(f"lamp {number} to be on", True, 1) for number in range(40)]
    assert fake.clock.pauses == []


def first_checked_together(*conditions: Condition[str]) -> dict[int, Condition[str]]:
    """Return conditions whose first checks all happen at the same time."""
    together = threading.Barrier(len(conditions), timeout=60)

    def meeting(condition: Condition[str]) -> Condition[str]:
        checked: list[bool] = []

        def probe() -> Observation[str]:
            if not checked:
                checked.append(True)
                together.wait()
            return condition.probe()

        return Condition(condition.title, probe)

    return dict(enumerate(map(meeting, conditions)))


def test_each_waits_with_what_is_left_of_the_budget():
    fake = started()
    conditions = from_(20, fake.clock, "one"), from_(1000, fake.clock, "two")

    with pytest.raises(NotReady, match="cannot confirm two to be on") as caught:
        Waiter(fake.run).each(first_checked_together(*conditions))

    assert 0 < caught.value.budget_s <= 10
    assert fake.clock.seconds == pytest.approx(BUDGET_S)


def test_each_checks_the_rest_again_after_a_wait():
    fake = started()
    conditions = from_(20, fake.clock, "one"), from_(10, fake.clock, "two")

    Waiter(fake.run).each(first_checked_together(*conditions))

    assert [event.seen for event in fake.of(Observed)] == ["one is off", "one is on", "two is on"]
    assert waits(fake)[-1] == ("two to be on", True, 1)


def test_each_retries_a_check_that_failed_temporarily():
    fake = started()

    values = Waiter(fake.run).each({"it": failing(Busy("cannot check it: busy"))})

    assert values == {"it": "it"}
    assert [event.seen for event in fake.of(Observed)] == ["cannot check it: busy", "it is on"]


def test_each_stops_at_a_check_that_failed_permanently():
    fake = started()

    with pytest.raises(FirstlightError, match="no such lamp"):
        Waiter(fake.run).each({"it": failing(FirstlightError("no such lamp"))})

    assert waits(fake) == [("it to be on", False, 0)]
    assert fake.clock.pauses == []


@given(
    seconds=st.lists(st.integers(min_value=0, max_value=30), min_size=1, max_size=6),
    budget_s=st.integers(min_value=0, max_value=25).map(lambda whole: whole + 0.5),
)
def test_each_succeeds_exactly_if_every_condition_holds_within_the_budget(
    seconds: list[int], budget_s: float
):
    clock = TickingClock()
    fake = started(clock=clock)
    fake.run.criteria[LAMP] = criterion(budget_s=budget_s)
    conditions = {index: from_(second, clock) for index, second in enumerate(seconds)}

    if max(seconds) <= budget_s:
        assert Waiter(fake.run).each(conditions).keys() == conditions.keys()
    else:
        with pytest.raises(NotReady):
            Waiter(fake.run).each(conditions)

    assert clock.seconds <= budget_s + 0.1
