"""The report of a complete or truncated run."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.checklist import Box
from firstlight.events import (
    CommandEnded,
    CommandStarted,
    CriterionEnded,
    CriterionStarted,
    Observed,
    RunEnded,
    RunStarted,
    Stamped,
    Verdict,
    WaitStarted,
)
from firstlight.report import Report, RunState, Standing, fold
from firstlight.report.fold import OBSERVATIONS_MAX
from tests.report import streams

RUNS = [
    streams.good,
    streams.rehearsed,
    streams.failed_action,
    streams.not_ready,
    streams.interrupted,
    streams.killed,
    streams.plan,
    streams.one_stage,
    streams.excerpt,
    streams.hostile,
]


def group(report: Report, key: str):
    return next(
        one for one in (*report.acceptance, *report.checklist, *report.stages) if one.key == key
    )


def criterion(report: Report, key: str):
    return next(one for one in report.criteria if one.info.id == key)


def test_a_good_run_is_done_and_every_box_is_ticked():
    report = fold(streams.good())

    assert report.conclusion.standing is Standing.MET
    assert report.conclusion.text == "done: all 17 criteria met"
    assert report.conclusion.next_step == ""
    assert [one.words for one in report.acceptance] == ["met"] * 7
    assert [box.ticked for box in report.checklist] == [True] * 14
    assert report.counts == {"met": 14, "already met": 3}


def test_the_head_states_what_was_run_where_and_when():
    head = fold(streams.rehearsed()).head

    assert (head.cluster, head.target, head.revision) == ("infra", "simulated", "main@2ffc5d3")
    assert head.started_at == "2026-11-23T07:32:04.000+00:00"
    assert head.ended_at > head.started_at
    assert [one.name for one in head.stand_ins] == ["charts", "op"]
    assert head.state is RunState.FINISHED


def test_what_cannot_be_verified_is_stated_and_never_ticked():
    report = fold(streams.rehearsed())

    assert report.conclusion.standing is Standing.MET_IN_PART
    assert (
        report.conclusion.text
        == "done: 14 of 17 criteria met; 3 not verifiable on target simulated"
    )
    assert group(report, "AC6").words == "met, 2 not verifiable here"
    assert group(report, "AC6").note == "the simulated target has no cilium-datapath"
    assert not group(report, "AC6").ticked
    assert group(report, "`cilium connectivity test` passes").standing is Standing.NOT_VERIFIABLE
    assert not group(report, "`cilium connectivity test` passes").ticked


def test_a_failed_action_is_the_conclusion_with_hint_and_next_step():
    report = fold(streams.failed_action())

    assert report.conclusion.standing is Standing.FAILED
    assert report.conclusion.text == "action failed: Cilium is deployed with cluster.id 1"
    assert (
        report.conclusion.detail == "cannot install Cilium on infra: helmfile exited 1 after 12.0 s"
    )
    assert report.conclusion.advice == "Check Spegel & the registry, then go on"
    assert report.conclusion.next_step == "./task rehearse"
    assert report.conclusion.criterion == "cilium-is-deployed"
    assert report.counts == {"met": 5, "already met": 2, "action failed": 1, "not reached": 9}
    assert group(report, "AC3").standing is Standing.FAILED
    assert group(report, "AC4").words == "not reached"


def test_an_unmet_condition_keeps_its_last_observation():
    failed = criterion(fold(streams.not_ready()), "etcd-runs-on-every-control-plane-node")

    assert failed.verdict is Verdict.NOT_READY
    assert failed.last_observation == "2 of 3"
    assert (failed.acting_s, failed.waiting_s) == (2.0, 300.0)
    assert failed.waits[0].ok is False


def test_an_interrupted_run_names_its_current_criterion():
    report = fold(streams.interrupted())

    assert report.conclusion.text == "interrupted at: the kubeconfig is generated"
    assert report.conclusion.next_step == "./task rehearse"
    assert criterion(report, "the-kubeconfig-is-generated").word == "interrupted"
    assert criterion(report, "flux-is-deployed").word == "not reached"
    assert report.head.state is RunState.INTERRUPTED


def test_a_killed_run_is_reported_as_under_way():
    report = fold(streams.killed())
    current = criterion(report, "the-kubeconfig-is-generated")

    assert report.head.state is RunState.UNDER_WAY
    assert report.conclusion.text == "under way at: the kubeconfig is generated"
    assert current.word == "under way"
    assert current.acting_s == pytest.approx(1.5)
    assert current.actions[0].ok is None
    assert not current.commands[0].ended


def test_a_plan_states_what_it_would_do_and_ticks_nothing():
    report = fold(streams.plan())

    assert report.conclusion.text == "plan, nothing was changed: a run would perform 6 actions"
    assert group(report, "AC1").standing is Standing.PLANNED
    assert sum(box.ticked for box in report.checklist) == 0


def test_a_partial_run_meets_only_what_it_ran_completely():
    report = fold(streams.one_stage())

    assert report.conclusion.text == "only 10-talos,flux, done: 3 met; 14 were not run"
    assert report.conclusion.standing is Standing.MET_IN_PART
    assert report.counts == {"met": 3, "not in this run": 14}
    assert group(report, "AC4").words == "met"
    assert group(report, "AC1").standing is Standing.OPEN
    assert group(report, "AC1").words == "2 of 4 met, 2 not in this run"
    assert group(report, "AC7").standing is Standing.NOT_IN_RUN
    assert group(report, "50-flux").standing is Standing.MET


def test_a_few_tests_run_by_hand_never_fully_meet_an_acceptance_criterion():
    report = fold(streams.excerpt())

    assert group(report, "AC4").standing is Standing.OPEN
    assert group(report, "AC4").words == "met, but only part of the checklist was run"
    assert not any(box.ticked for box in report.checklist)


def test_an_exit_code_without_a_failed_criterion_is_not_called_done():
    stream = streams.good()
    stream[-1] = Stamped(stream[-1].at, stream[-1].since_start_s, RunEnded(3, interrupted=False))

    report = fold(stream)

    assert report.conclusion.standing is Standing.FAILED
    assert "exit code 3 though no criterion failed" in report.conclusion.text


def test_time_counts_from_the_first_action_of_the_bootstrap_if_it_is_known():
    timing = fold(streams.good()).timing

    assert timing.total_s == timing.verified_after_s
    assert timing.counted_from == "the first action of this bootstrap"
    assert 0 < timing.share < 1


def test_the_same_command_run_again_is_one_entry_with_its_last_outcome():
    one = streams.CRITERIA[0]
    script = streams.Script()
    script.start()
    script.tell(CriterionStarted(one.id))
    script.command(one.id, "talosctl version", 0.5, code=1, tail=("refused",))
    script.command(one.id, "talosctl version", 0.25, code=0, tail=("v1.12.0",))

    (entry,) = criterion(fold(script.heard), one.id).commands

    assert (entry.times, entry.exit_code, entry.tail, entry.elapsed_s) == (2, 0, ("v1.12.0",), 0.75)


def test_the_observations_of_a_flapping_probe_are_bounded():
    one = streams.CRITERIA[0]
    script = streams.Script()
    script.start()
    script.tell(CriterionStarted(one.id), WaitStarted(one.id, "peace", 10))
    script.tell(
        *(
            Observed(one.id, "peace", f"seen {number}", number)
            for number in range(OBSERVATIONS_MAX + 40)
        )
    )

    result = criterion(fold(script.heard), one.id)

    assert len(result.observations) == OBSERVATIONS_MAX
    assert result.observations_left_off == 40
    assert result.last_observation == f"seen {OBSERVATIONS_MAX + 39}"


def test_work_outside_any_criterion_and_unlisted_criteria_are_not_lost():
    script = streams.Script()
    script.start()
    script.tell(
        CommandStarted("", "simulated-machines", changes=True),
        CommandEnded("", "simulated-machines", 0, 1.0, (), changes=True),
    )
    script.tell(CriterionEnded("nobody-listed-me", Verdict.MET, 0, 1))

    report = fold(script.heard)

    assert [entry.command for entry in report.outside_commands] == ["simulated-machines"]
    assert criterion(report, "nobody-listed-me").holds


def test_the_last_of_several_runs_in_a_journal_is_reported():
    first, second = streams.failed_action(), streams.plan()

    report = fold([*first, *second])

    assert report == fold(second)


def test_events_of_an_unknown_class_are_ignored():
    @dataclass(frozen=True)
    class Unknown:
        whatever: str = ""

    stream = streams.good()
    mixed = [
        one
        for known in stream
        for one in (known, Stamped(known.at, known.since_start_s, Unknown()))
    ]

    assert fold(mixed) == fold(stream)


def test_a_report_without_events_claims_nothing():
    report = fold([])

    assert report.head.state is RunState.NOT_STARTED
    assert report.conclusion.standing is Standing.OPEN
    assert not any(one.ticked for one in (*report.acceptance, *report.checklist))


def test_the_checklist_always_has_every_box_of_the_story():
    assert [box.key for box in fold(streams.one_stage()).checklist] == list(Box)


# The time of one example means nothing on a busy computer.
@given(run=st.sampled_from(RUNS), cut=st.floats(0, 1))
def test_no_part_of_a_run_counts_as_met_what_was_not_verified(run, cut):
    stream = run()
    prefix = stream[: round(cut * len(stream))]
    verified = {
        one.event.id
        for one in prefix
        if isinstance(one.event, CriterionEnded) and one.event.verdict.holds
    }
    listed = [
        info for one in prefix if isinstance(one.event, RunStarted) for info in one.event.criteria
    ]

    report = fold(prefix)

    assert {one.info.id for one in report.criteria if one.holds} == verified
    assert report.counts.get("met", 0) + report.counts.get("already met", 0) == len(verified)
    assert sum(report.counts.values()) == len(report.criteria)
    for one in report.acceptance:
        assert (
            not one.ticked or {info.id for info in listed if one.key in info.acceptance} <= verified
        )
        assert one.standing is not Standing.MET_IN_PART or one.holding
    for box in report.checklist:
        members = {info.id for info in listed if box.key in info.boxes}
        assert not box.ticked or (members and members <= verified)
    if report.conclusion.standing is Standing.MET:
        assert verified == {info.id for info in listed}
        assert isinstance(prefix[-1].event, RunEnded)


# The time of one example means nothing on a busy computer.
@given(run=st.sampled_from(RUNS), data=st.data())
def test_events_lost_from_the_middle_never_break_the_report(run, data):
    stream = run()
    kept = data.draw(st.lists(st.booleans(), min_size=len(stream), max_size=len(stream)))

    report = fold(one for one, keep in zip(stream, kept, strict=True) if keep)

    assert all(one.took_s >= 0 for one in report.criteria)
    assert all(entry.times >= 1 for one in report.criteria for entry in one.commands)
