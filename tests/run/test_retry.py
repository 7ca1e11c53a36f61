"""Waits and attempts on a fake clock: limits, pauses and last observations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.conditions import Condition, Observation, holds, never, not_yet
from firstlight.errors import FirstlightError, NotReady, Unsatisfiable
from firstlight.failures import FailureClass
from firstlight.run.retry import LONGEST_PAUSE_S, Attempts, wait_for
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


def test_a_condition_that_holds_ends_the_wait_without_a_pause():
    clock = FakeClock()

    value, waited = wait_for(condition(holds("on", "lamp")), budget_s=10, clock=clock)

    assert (value, waited.attempts, clock.pauses) == ("lamp", 1, [])


def test_a_wait_ends_with_its_budget_and_reports_the_last_observation():
    clock = FakeClock()

    with pytest.raises(
        NotReady,
        match=r"cannot confirm the light to come on: not so within 180 s\n"
        r"  last seen dark \(after 180\.\d s",
    ) as caught:
        wait_for(condition(not_yet("flickering"), not_yet("dark")), budget_s=180, clock=clock)

    assert caught.value.last == "dark"
    assert clock.seconds == pytest.approx(180)


def test_an_unsatisfiable_condition_ends_the_wait_early():
    clock = FakeClock()

    with pytest.raises(
        Unsatisfiable, match="waiting longer will not help\n  last seen bulb broken"
    ):
        wait_for(condition(not_yet("dark"), never("bulb broken")), budget_s=180, clock=clock)

    assert clock.seconds < 1


def test_a_temporary_failure_is_an_observation():
    seen: list[str] = []

    value, _ = wait_for(
        condition(Busy("cannot check: busy"), holds("on", "lamp")),
        budget_s=10,
        clock=FakeClock(),
        observer=lambda text, _: seen.append(text),
    )

    assert (value, seen) == ("lamp", ["cannot check: busy", "on"])


def test_a_rate_limited_check_pauses_longer_but_stays_within_the_budget():
    rate_limited, clock = Busy("too many requests", row="FL-029"), FakeClock()

    with pytest.raises(NotReady, match="too many requests"):
        wait_for(condition(rate_limited), budget_s=40, clock=clock)

    assert clock.pauses == [15.0, 15.0, pytest.approx(10.0, abs=0.1)]


def test_an_unknown_failure_ends_the_wait_at_once():
    clock = FakeClock()

    with pytest.raises(FirstlightError, match="no such lamp"):
        wait_for(condition(FirstlightError("no such lamp")), budget_s=180, clock=clock)

    assert clock.pauses == []


def test_only_changed_observations_are_reported():
    seen: list[str] = []

    wait_for(
        condition(not_yet("dark"), not_yet("dark"), not_yet("dim"), holds("on", "lamp")),
        budget_s=10,
        clock=FakeClock(),
        observer=lambda text, _: seen.append(text),
    )

    assert seen == ["dark", "dim", "on"]


def test_a_watched_condition_blocks_on_its_watch_and_pauses_if_the_watch_fails():
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
def test_waits_stay_within_their_budget_and_pauses_within_their_limit(
    budget_s: float, changes: list[str]
):
    clock = FakeClock()

    with pytest.raises(NotReady):
        wait_for(condition(*(not_yet(text) for text in changes)), budget_s=budget_s, clock=clock)

    assert clock.seconds <= budget_s + 1e-6
    assert all(pause <= LONGEST_PAUSE_S for pause in clock.pauses)


def pauses(error: FirstlightError, *, factor: float = 1.0, attempt_s: float = 0.0) -> list[float]:
    """Return the pauses between the attempts of an action that always fails like this."""
    clock = FakeClock()
    attempts = Attempts(clock, factor)
    clock.seconds += attempt_s
    while attempts.again(error):
        clock.seconds += attempt_s
    return clock.pauses


@pytest.mark.parametrize(
    ("error", "factor", "attempt_s", "expected"),
    [
        (Busy("busy"), 1.0, 0.0, [2.0, 4.0, *[6.0] * 20]),
        (Busy("busy"), 0.01, 0.0, [2.0, 4.0]),
        (Busy("busy"), 1.0, 100.0, [2.0, 4.0]),
        (Busy("busy"), 2.0, 100.0, [2.0, 4.0]),
        (Busy("too many requests", row="FL-029"), 1.0, 0.0, [15.0, 15.0]),
        (Busy("too many requests", row="FL-029"), 2.0, 0.0, [30.0, 30.0]),
        (Busy("too many requests", row="FL-029"), 0.01, 0.0, [2.0, 4.0]),
        (FirstlightError("no such lamp"), 1.0, 0.0, []),
    ],
    ids=[
        "two minutes of quick attempts",
        "three attempts if there is no time",
        "three attempts even if they are slow",
        "slow attempts on a slow machine",
        "few attempts with an exhausted quota",
        "an exhausted quota on a slow machine",
        "an exhausted quota if there is no time",
        "one attempt for an unknown failure",
    ],
)
def test_an_action_is_attempted_three_times_and_for_two_minutes(
    error: FirstlightError, factor: float, attempt_s: float, expected: list[float]
):
    assert pauses(error, factor=factor, attempt_s=attempt_s) == expected
