"""Verdicts follow from events alone: the same events always give the same verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.checklist import CriterionInfo, Stage
from firstlight.clock import SystemClock
from firstlight.errors import ActionFailed, FirstlightError, NotReady
from firstlight.events import (
    ActionBegun,
    ActionEnded,
    ActionSkipped,
    Bus,
    CriterionEnded,
    CriterionFailed,
    CriterionLeft,
    CriterionStarted,
    Event,
    Observed,
    PhaseEnded,
    Verdict,
    WaitEnded,
)
from firstlight.run.verdicts import CriterionRecord, RunRecord, failure_of, with_hints

BEGUN = ActionBegun("c", "make it", "it is missing")
ENDED = ActionEnded("c", "make it", ok=True, elapsed_s=1.0)
SKIPPED = ActionSkipped("c", "make it")
AT_ONCE = WaitEnded("c", "it to be there", ok=True, elapsed_s=0.1, last="it is there", attempts=1)
IN_TIME = WaitEnded("c", "it to be there", ok=True, elapsed_s=9.0, last="it is there", attempts=4)
CHECKED = replace(IN_TIME, condition="a check whether to make it", verifies=False)
FAILED = CriterionFailed("c", Verdict.NOT_READY, "cannot confirm it")
LEFT = CriterionLeft("c", Verdict.NOT_VERIFIABLE, "datapath: not available here")


def ended(*events: Event, acted_before: bool = False, resumed: bool = False) -> CriterionEnded:
    record = CriterionRecord("c")
    for event in events:
        record.hear(event)
    return record.ended(acted_before=acted_before, resumed=resumed)


@pytest.mark.parametrize(
    ("events", "acted_before", "resumed", "verdict"),
    [
        ((BEGUN, ENDED, IN_TIME), True, False, Verdict.MET),
        ((BEGUN, ENDED, AT_ONCE), True, True, Verdict.MET),
        ((SKIPPED, AT_ONCE), False, False, Verdict.ALREADY_MET),
        ((SKIPPED, AT_ONCE), True, True, Verdict.ALREADY_MET),
        ((SKIPPED, IN_TIME), False, True, Verdict.MET),
        ((CHECKED, SKIPPED, AT_ONCE), False, True, Verdict.ALREADY_MET),
        ((AT_ONCE,), False, False, Verdict.MET),
        ((AT_ONCE,), False, True, Verdict.ALREADY_MET),
        ((AT_ONCE,), True, True, Verdict.MET),
        ((IN_TIME,), False, True, Verdict.MET),
        ((FAILED,), False, True, Verdict.NOT_READY),
        ((BEGUN, FAILED), True, False, Verdict.NOT_READY),
        ((LEFT,), False, True, Verdict.NOT_VERIFIABLE),
    ],
)
def test_a_verdict_follows_from_events(
    events: tuple[Event, ...], acted_before: bool, resumed: bool, verdict: Verdict
):
    assert ended(*events, acted_before=acted_before, resumed=resumed).verdict is verdict


@pytest.mark.parametrize(
    ("events", "verdict", "reason"),
    [
        ((FAILED, LEFT), Verdict.NOT_READY, ""),
        ((LEFT, FAILED), Verdict.NOT_VERIFIABLE, LEFT.reason),
        ((FAILED, CriterionFailed("c", Verdict.ACTION_FAILED, "later")), Verdict.NOT_READY, ""),
    ],
)
def test_the_first_decision_counts(events: tuple[Event, ...], verdict: Verdict, reason: str):
    end = ended(*events)

    assert (end.verdict, end.reason) == (verdict, reason)


def test_the_setup_phase_counts_as_acting_only_if_it_acted():
    phases = (PhaseEnded("c", "setup", 3.0), PhaseEnded("c", "call", 2.0))

    acted, waited = ended(BEGUN, *phases), ended(SKIPPED, *phases)

    assert (acted.acting_s, acted.waiting_s) == (3.0, 2.0)
    assert (waited.acting_s, waited.waiting_s) == (0.0, 5.0)


def test_the_end_of_a_criterion_carries_its_last_observation_and_evidence():
    end = ended(Observed("c", "it to be there", "it is on its way", 0.1), IN_TIME)

    assert end.last_observation == "it is on its way"
    assert end.evidence == (("it to be there", "it is there"),)


def test_an_error_in_an_action_and_a_wait_that_timed_out_differ():
    late = NotReady("it", last="not there", elapsed_s=2, budget_s=2, attempts=3)
    record = CriterionRecord("c")

    verdicts = [
        failure_of(record, ActionFailed("cannot make it"), "text", phase="setup").verdict,
        failure_of(record, late, "text", phase="setup").verdict,
        failure_of(record, AssertionError(), "text", phase="call").verdict,
    ]

    assert verdicts == [Verdict.ACTION_FAILED, Verdict.NOT_READY, Verdict.NOT_READY]


def test_an_error_shows_the_hints_of_its_rows():
    error = FirstlightError("cannot do it: it is unknown", row="FL-001")

    assert "FL-001: " in with_hints(error)
    assert with_hints(FirstlightError("cannot do it")) == "cannot do it"


def criterion(name: str) -> CriterionInfo:
    return CriterionInfo(name, "", (), name, 0, Stage.TALOS, (), 1.0, "")


def test_the_run_record_knows_what_is_running_and_what_failed():
    record, bus = RunRecord(), Bus(SystemClock())
    bus.add(record.hear)

    for event in (CriterionStarted("a"), BEGUN, ENDED):
        bus.emit(event)
    running = record.current.id
    bus.emit(record.conclusion())
    bus.emit(CriterionStarted("b"))
    bus.emit(FAILED)
    bus.emit(record.conclusion())

    assert running == "a"
    assert record.acted
    assert record.verdicts == {"a": Verdict.MET, "b": Verdict.NOT_READY}
    assert [one.id for one in record.failures] == ["b"]


EVENTS = st.lists(
    st.sampled_from((BEGUN, ENDED, SKIPPED, AT_ONCE, IN_TIME, FAILED, LEFT)), max_size=8
)


@given(EVENTS, st.booleans(), st.booleans())
def test_a_failed_or_left_criterion_never_counts_as_met(
    events: list[Event], acted_before: bool, resumed: bool
):
    end = ended(*events, acted_before=acted_before, resumed=resumed)

    assert end.verdict.holds is (FAILED not in events and LEFT not in events)
