"""`perform` on a fake clock: an action runs only if needed, and temporary failures are retried."""

from __future__ import annotations

import pytest

from firstlight.errors import ActionFailed, NotReady
from firstlight.events import (
    ActionBegun,
    ActionEnded,
    ActionSkipped,
    Observed,
    Verdict,
    WaitEnded,
)
from firstlight.run import Performer
from tests.run.runs import LAMP, Busy, FakeRun, Lamp, criterion, started

BUSY = Busy("cannot make the lamp: busy")


def ends(fake: FakeRun) -> list[tuple[bool, str]]:
    return [(event.ok, event.detail) for event in fake.of(ActionEnded)]


def test_an_action_that_is_needed_begins_with_its_reason_and_ends_with_its_detail():
    fake, lamp = started(), Lamp()

    Performer(fake.run)(lamp.action)

    assert lamp.made
    assert fake.of(ActionBegun) == [ActionBegun(LAMP, "make the lamp", "the lamp is missing")]
    assert ends(fake) == [(True, "of glass")]


def test_an_action_that_is_not_needed_is_skipped():
    fake, lamp = started(), Lamp(made=True)

    Performer(fake.run)(lamp.action)

    assert lamp.attempts == 0
    assert fake.events == [ActionSkipped(LAMP, "make the lamp")]


def test_an_action_that_failed_temporarily_is_checked_and_performed_again():
    fake, lamp = started(), Lamp(failures=[BUSY, BUSY])

    Performer(fake.run)(lamp.action)

    assert lamp.attempts == 3
    assert fake.clock.pauses == [2.0, 4.0]
    assert ends(fake) == [(False, BUSY.summary)] * 2 + [(True, "of glass")]
    assert len(fake.of(ActionBegun)) == 3


def test_an_attempt_that_failed_but_did_its_work_is_not_repeated():
    fake, lamp = started(), Lamp()

    def act() -> str | None:
        lamp.action.act()
        raise BUSY

    action = lamp.action
    Performer(fake.run)(type(action)(action.title, action.need, act))

    assert lamp.attempts == 1
    assert ends(fake) == [(False, BUSY.summary)]
    assert fake.of(ActionSkipped) == []


def test_an_action_that_stays_busy_fails_after_two_minutes():
    fake, lamp = started(), Lamp(failures=[BUSY] * 100)

    with pytest.raises(Busy):
        Performer(fake.run)(lamp.action)

    assert fake.clock.pauses == [2.0, 4.0, *[6.0] * 20]
    assert 120 < fake.clock.seconds <= 126


def test_an_unknown_failure_is_not_retried():
    fake, lamp = started(), Lamp(failures=[ActionFailed("cannot make the lamp: no glass")])

    with pytest.raises(ActionFailed, match="no glass"):
        Performer(fake.run)(lamp.action)

    assert (lamp.attempts, fake.clock.pauses) == (1, [])


def test_an_interrupted_action_is_recorded_as_ended():
    fake, lamp = started(), Lamp(failures=[KeyboardInterrupt()])

    with pytest.raises(KeyboardInterrupt):
        Performer(fake.run)(lamp.action)

    assert ends(fake) == [(False, "KeyboardInterrupt")]
    assert fake.run.record.bootstrap.unfinished == ()


def test_a_secret_in_a_reason_or_detail_is_masked():
    fake, lamp = started(), Lamp(failures=[ActionFailed("cannot log in with hunter2-hunter2")])
    fake.run.mask.learn("hunter2-hunter2")

    with pytest.raises(ActionFailed):
        Performer(fake.run)(lamp.action)

    assert ends(fake) == [(False, "cannot log in with ********")]


def test_the_check_of_an_action_is_retried_and_reported_as_a_wait():
    fake, lamp = started(), Lamp(dark=[Busy("cannot check the lamp: it is dark")] * 2)

    Performer(fake.run)(lamp.action)

    assert [event.seen for event in fake.of(Observed)] == [
        "cannot check the lamp: it is dark",
        "the lamp is missing",
    ]
    (wait,) = fake.of(WaitEnded)
    assert (wait.condition, wait.ok, wait.attempts) == (
        "a check whether to make the lamp",
        True,
        3,
    )
    assert lamp.made


def test_a_retried_check_is_not_taken_for_the_wait_of_the_criterion():
    fake = started()
    lamp = Lamp(dark=[Busy("cannot check the lamp: it is dark")] * 2, made=True)

    Performer(fake.run)(lamp.action)
    end = fake.run.record.conclusion()

    assert (end.verdict, end.evidence) == (Verdict.ALREADY_MET, ())


@pytest.mark.parametrize(
    ("budget_s", "factor", "limit_s"), [(30.0, 1.0, 60), (30.0, 2.0, 120), (300.0, 1.0, 300)]
)
def test_the_check_of_an_action_is_retried_for_a_minute_or_the_longer_budget(
    budget_s: float, factor: float, limit_s: float
):
    fake, lamp = started(budget_factor=factor), Lamp(dark=[BUSY] * 1000)
    fake.run.criteria[LAMP] = criterion(budget_s=budget_s)

    with pytest.raises(NotReady, match="cannot confirm a check whether to make the lamp"):
        Performer(fake.run)(lamp.action)

    assert fake.clock.seconds == pytest.approx(limit_s)
    assert lamp.attempts == 0


def test_a_machine_may_refuse_a_call_within_an_action_for_ten_minutes():
    fake, lamp = started(), Lamp()
    perform = Performer(fake.run)
    action = lamp.action

    def act() -> str | None:
        perform.until_accepted(lamp.exists)
        return None

    with pytest.raises(NotReady):
        perform(type(action)(action.title, action.need, act))

    assert fake.clock.seconds == pytest.approx(600)
    assert [(event.condition, event.seen) for event in fake.of(Observed)] == [
        ("make the lamp", "no lamp exists")
    ]
