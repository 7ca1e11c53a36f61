"""The comparison with earlier runs: what no longer holds, what holds again, what became slower."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from firstlight.events import CriterionEnded, RunEnded, RunStarted, Verdict
from firstlight.report.comparison import HISTORY, KEPT, update_history
from tests.report import streams
from tests.report.writing import write_once


def later(stream, hours, target="nodes"):
    """Return a stream as a separate run on a target, a number of hours later."""

    def moved(stamp):
        return (datetime.fromisoformat(stamp) + timedelta(hours=hours)).isoformat(
            timespec="milliseconds"
        )

    made = []
    for stamped in stream:
        event = stamped.event
        if isinstance(event, RunStarted):
            event = replace(event, run_id=f"run-{hours}", target=target)
        elif isinstance(event, RunEnded) and event.first_action_at:
            event = replace(event, first_action_at=moved(event.first_action_at))
        made.append(replace(stamped, at=moved(stamped.at), event=event))
    return made


def slower(stream, criterion, seconds):
    """Return a stream in which one criterion, and so the whole run, took longer."""
    made = []
    for stamped in stream:
        event = stamped.event
        if isinstance(event, CriterionEnded) and event.id == criterion:
            event = replace(event, waiting_s=event.waiting_s + seconds)
        elif isinstance(event, RunEnded):
            event = replace(event, verified_after_s=event.verified_after_s + seconds)
        made.append(replace(stamped, event=event))
    return made


def idle(stream):
    """Return the stream of a run that continues an earlier bootstrap and finds everything done."""
    made = []
    for stamped in stream:
        event = stamped.event
        if isinstance(event, CriterionEnded):
            event = replace(event, verdict=Verdict.ALREADY_MET, acting_s=0.0)
        elif isinstance(event, RunEnded):
            event = replace(event, first_action_at=(streams.START - timedelta(days=9)).isoformat())
        made.append(replace(stamped, event=event))
    return made


def played(folder, *runs, targets=()):
    """Play runs into one folder, one after another, and return the comparison of the last."""
    for hours, run in enumerate(runs, start=1):
        writer = write_once(folder, later(run, hours, *targets[hours - 1 : hours]))
    return writer.report().comparison


def test_a_first_run_has_nothing_to_be_compared_with(tmp_path):
    assert played(tmp_path, streams.good()) is None


def test_a_second_run_like_the_first_shows_no_change(tmp_path):
    made = played(tmp_path, streams.good(), streams.good())

    assert (made.earlier, made.last_at[:13], made.last_revision) == (
        1,
        "2026-11-23T08",
        "main@2ffc5d3",
    )
    assert (made.regressed, made.mended, made.slower) == ((), (), ())
    assert [(one.key, one.slower) for one in made.stages][:2] == [
        ("10-talos", False),
        ("20-kubernetes", False),
    ]
    assert made.verified.then_s == made.verified.now_s


def test_only_what_held_and_fails_now_is_reported_as_no_longer_holding(tmp_path):
    made = played(tmp_path, streams.good(), streams.failed_action())

    assert [(one.criterion, one.then, one.now) for one in made.regressed] == [
        ("cilium-is-deployed", "met", "action failed")
    ]
    assert made.mended == ()


def test_what_failed_before_and_holds_now_is_reported_as_holding_again(tmp_path):
    made = played(tmp_path, streams.failed_action(), streams.good())

    assert [(one.criterion, one.then, one.now) for one in made.mended] == [
        ("cilium-is-deployed", "action failed", "met")
    ]


def test_a_criterion_is_compared_with_the_last_run_that_verified_it(
    tmp_path,
):
    made = played(tmp_path, streams.good(), streams.not_ready(), streams.failed_action())

    assert [(one.criterion, one.at[:13]) for one in made.regressed] == [
        ("cilium-is-deployed", "2026-11-23T08")
    ]
    assert [one.criterion for one in made.mended] == ["etcd-runs-on-every-control-plane-node"]


def test_what_can_no_longer_be_verified_is_reported_as_no_longer_holding(tmp_path):
    blind = [
        replace(one, event=replace(one.event, verdict=Verdict.NOT_VERIFIABLE))
        if isinstance(one.event, CriterionEnded) and one.event.id == "flux-check-passes"
        else one
        for one in streams.good()
    ]

    made = played(tmp_path, streams.good(), blind)

    assert [(one.criterion, one.now) for one in made.regressed] == [
        ("flux-check-passes", "not verifiable here")
    ]


def test_a_slower_criterion_is_listed_with_its_stage_and_the_used_budget(tmp_path):
    made = played(tmp_path, streams.good(), slower(streams.good(), "cilium-is-deployed", 60))

    assert [(one.key, round(one.now_s - one.then_s)) for one in made.slower] == [
        ("cilium-is-deployed", 60)
    ]
    assert [one.key for one in made.stages if one.slower] == ["40-apps"]
    assert round(made.verified.now_s - made.verified.then_s) == 60


@pytest.mark.parametrize("seconds", [0, 5.9])
def test_a_difference_that_may_be_chance_is_not_called_slower(tmp_path, seconds):
    made = played(tmp_path, streams.good(), slower(streams.good(), "cilium-is-deployed", seconds))

    assert made.slower == ()


def test_a_run_that_continues_another_one_has_no_times_to_compare(tmp_path):
    made = played(tmp_path, streams.good(), idle(streams.good()))

    assert made.untimed == "this run was not a complete bootstrap"
    assert made.stages == ()


def test_times_are_compared_with_the_last_complete_bootstrap(tmp_path):
    made = played(
        tmp_path, streams.good(), idle(streams.good()), streams.one_stage(), streams.good()
    )

    assert made.earlier == 3
    assert made.timed_with[:13] == "2026-11-23T08"
    assert made.untimed == ""


def test_a_killed_run_is_part_of_the_history(tmp_path):
    made = played(tmp_path, streams.killed(), streams.good())

    assert made.earlier == 1
    assert made.untimed == "no earlier run was a complete bootstrap"


def test_plans_are_never_compared(tmp_path):
    assert played(tmp_path, streams.good(), streams.plan()) is None
    assert played(tmp_path / "other", streams.plan(), streams.good()) is None


def test_runs_on_another_target_are_not_compared(tmp_path):
    assert played(tmp_path, streams.good(), streams.good(), targets=("simulated", "nodes")) is None


def test_damaged_lines_of_history_are_dropped(tmp_path):
    played(tmp_path, streams.good(), streams.good())
    with (tmp_path / HISTORY).open("a", encoding="utf-8") as written:
        written.write('not ours\n{"run_id": 1}\n')

    assert [run.run_id for run in update_history(tmp_path)] == ["run-1", "run-2"]


def test_a_damaged_report_is_not_added_to_the_history(tmp_path):
    played(tmp_path, streams.good())
    (tmp_path / "report.json").write_text('{"extra": {"head": []}}', encoding="utf-8")

    assert update_history(tmp_path) == ()


def test_history_keeps_a_bounded_number_of_runs(tmp_path):
    played(tmp_path, streams.good(), streams.good())
    (line,) = (tmp_path / HISTORY).read_text(encoding="utf-8").splitlines()
    many = [json.dumps({**json.loads(line), "run_id": f"old-{number}"}) for number in range(KEPT)]
    (tmp_path / HISTORY).write_text("\n".join(many), encoding="utf-8")

    runs = update_history(tmp_path)

    assert len(runs) == KEPT
    assert (runs[0].run_id, runs[-1].run_id) == ("old-1", "run-2")
