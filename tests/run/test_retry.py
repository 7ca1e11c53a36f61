"""The waiting loop: its bound, its last observation, its pauses; on a clock that never waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.conditions import Condition, Observation, holds, never, not_yet
from firstlight.errors import FirstlightError, NotReady, Unsatisfiable
from firstlight.failures import FailureClass
from firstlight.run.retry import LONGEST_PAUSE_S, wait_for
from tests.clocks import FakeClock


class Busy(FirstlightError):
    failure_class = FailureClass.RETRY


def condition(*observations: Observation[str] | FirstlightError) -> Condition[str]:
    queue = list(observations)

    def probe() -> Observation[str]:
        seen = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(seen, FirstlightError):
            raise seen
        return seen

    return Condition("the light to come on", probe)


def test_a_condition_that_holds_is_not_waited_for():
    clock = FakeClock()

    value, waited = wait_for(condition(holds("on", "lamp")), budget_s=10, clock=clock)

    assert (value, waited.attempts, clock.pauses) == ("lamp", 1, [])


def test_three_minutes_pass_and_the_error_says_what_was_seen_last():
    clock = FakeClock()

    with pytest.raises(
        NotReady,
        match=r"cannot confirm the light to come on: not so within 180 s\n  last seen dark \(after 180\.\d s",
    ) as caught:
        wait_for(condition(not_yet("flickering"), not_yet("dark")), budget_s=180, clock=clock)

    assert caught.value.last == "dark"
    assert clock.seconds == pytest.approx(180)


def test_what_can_no_longer_come_true_is_not_waited_for():
    clock = FakeClock()

    with pytest.raises(
        Unsatisfiable, match="waiting longer will not help\n  last seen bulb broken"
    ):
        wait_for(condition(not_yet("dark"), never("bulb broken")), budget_s=180, clock=clock)

    assert clock.seconds < 1


def test_a_failure_that_may_pass_is_an_observation():
    seen: list[str] = []

    value, _ = wait_for(
        condition(Busy("cannot look: busy"), holds("on", "lamp")),
        budget_s=10,
        clock=FakeClock(),
        observer=lambda text, _: seen.append(text),
    )

    assert (value, seen) == ("lamp", ["cannot look: busy", "on"])


def test_what_each_look_makes_worse_is_left_alone_for_a_while_within_the_budget():
    rationed, clock = Busy("too many requests", row="FL-029"), FakeClock()

    with pytest.raises(NotReady, match="too many requests"):
        wait_for(condition(rationed), budget_s=40, clock=clock)

    assert clock.pauses == [15.0, 15.0, pytest.approx(10.0, abs=0.1)]


def test_an_unknown_failure_stops_at_once():
    clock = FakeClock()

    with pytest.raises(FirstlightError, match="no such lamp"):
        wait_for(condition(FirstlightError("no such lamp")), budget_s=180, clock=clock)

    assert clock.pauses == []


def test_only_changes_are_told():
    seen: list[str] = []

    wait_for(
        condition(not_yet("dark"), not_yet("dark"), not_yet("dim"), holds("on", "lamp")),
        budget_s=10,
        clock=FakeClock(),
        observer=lambda text, _: seen.append(text),
    )

    assert seen == ["dark", "dim", "on"]


def test_a_watched_condition_blocks_on_its_watch_and_never_spins_when_the_watch_fails():
    clock, watched = FakeClock(), []

    def changed(longest_s: float) -> None:
        watched.append(longest_s)
        raise Busy("cannot watch: busy")

    base = condition(not_yet("dark"), not_yet("dark"), holds("on", "lamp"))
    wait_for(Condition(base.title, base.probe, changed), budget_s=60, clock=clock)

    assert watched == [10.0, 10.0]
    assert min(clock.pauses) >= 0.5


@given(
    budget_s=st.floats(min_value=0, max_value=5000),
    changes=st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=30),
)
def test_no_wait_outlives_its_budget_and_no_pause_its_bound(budget_s: float, changes: list[str]):
    clock = FakeClock()

    with pytest.raises(NotReady):
        wait_for(condition(*(not_yet(text) for text in changes)), budget_s=budget_s, clock=clock)

    assert clock.seconds <= budget_s + 1e-6
    assert all(pause <= LONGEST_PAUSE_S for pause in clock.pauses)
