"""The fast part of `./task chaos`: one bootstrap up to the CRDs, interrupted six times."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.bench import Bench, bench_on
from tests.chaos.chain import Outcome, run_chain
from tests.chaos.ledger import Ledger, summary
from tests.chaos.moments import Instant, Moment
from tests.chaos.plan import (
    ACTIONS,
    KILLS,
    START,
    Interruption,
    Slot,
    chained,
    matrix,
    random_chain,
    timeline_of,
)
from tests.chaos.terminations import Termination
from tests.rehearsals import CHECKOUT

pytestmark = pytest.mark.timeout(900)

STAGES = ("--stage", "talos,kubernetes,crds")

ETCD, CRDS = "bootstrap etcd", "apply the CRDs"

INTERRUPTIONS = (
    Instant(ETCD, Moment.BEFORE_BEGUN, Termination.KILL),
    Instant(ETCD, Moment.AFTER_BEGUN, Termination.KILL_GROUP),
    Instant(ETCD, Moment.BEFORE_ENDED, Termination.KILL_ALL),
    Instant("generate the kubeconfig", Moment.AFTER_ENDED, Termination.KILL),
    Instant(CRDS, Moment.DURING, Termination.KILL_ALL, 0.7),
    Instant(CRDS, Moment.DURING, Termination.TERMINATE, 0.7),
)
"""In run order.

The machines accept the bootstrap and the run is killed before it sees that; helm is killed in the
middle of a release; helm is asked to end.
"""


@pytest.fixture(scope="module")
def interrupted_six_times(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Bench, Outcome]]:
    # A shell that starts the tests in the background makes them and their runs ignore SIGINT.
    heeded = signal.signal(signal.SIGINT, signal.default_int_handler)
    with bench_on(50, tmp_path_factory.mktemp("chaos"), *STAGES) as bench:
        yield (
            bench,
            run_chain(
                bench,
                [Interruption(instant.termination, instant=instant) for instant in INTERRUPTIONS],
                say=print,
            ),
        )
    signal.signal(signal.SIGINT, heeded)


def test_the_same_command_converges_after_each_interruption(
    interrupted_six_times: tuple[Bench, Outcome],
):
    _, outcome = interrupted_six_times

    assert outcome.problems == [], outcome.output[-3000:]
    assert [each.problems for each in outcome.interrupted] == [[]] * len(INTERRUPTIONS)
    assert [each.missed for each in outcome.interrupted] == [False] * len(INTERRUPTIONS)
    assert outcome.converged


def test_the_next_run_reports_an_interrupted_action(
    interrupted_six_times: tuple[Bench, Outcome],
):
    bench, _ = interrupted_six_times

    third = (bench.rehearsal.root.parent / "run-003.log").read_text()

    assert re.search(
        r"an earlier run was killed .*bootstrap etcd on infra-cp-1 \(127\.25\.50\.11\)", third
    )


def test_a_bootstrap_that_a_killed_run_requested_is_not_repeated(
    interrupted_six_times: tuple[Bench, Outcome],
):
    bench, _ = interrupted_six_times

    calls = [
        json.loads(line) for line in (bench.state / "talos-calls.jsonl").read_text().splitlines()
    ]
    codes = [call["code"] for call in calls if call["method"].endswith("/Bootstrap")]
    assert codes.count("OK") == 1
    assert set(codes) <= {"OK", "AlreadyExists"}


TIMELINE = (
    Slot(START, START, 0.0, 5.0),
    Slot("10-talos", "etcd-runs", 5.0, 4.0),
    Slot("40-apps", "release-runs-flux", 9.0, 1.0),
)


def test_the_same_seed_means_the_same_instants():
    one, same, other = (random_chain(seed, 3, TIMELINE, 50, KILLS) for seed in (7, 7, 8))

    assert one == same
    assert one != other


def test_random_instants_are_spread_over_the_whole_run_in_order():
    interruptions = random_chain(1, 0, TIMELINE, 1000, KILLS)

    stages = [interruption.stage for interruption in interruptions]
    assert stages == sorted(stages, key=("start", "10-talos", "40-apps").index)
    assert 400 < stages.count("start") < 600
    assert 50 < stages.count("40-apps") < 150
    assert {interruption.termination for interruption in interruptions} == set(KILLS)
    assert all(0 <= interruption.later_s <= 5 for interruption in interruptions)


def test_a_campaign_has_the_requested_number_of_interruptions():
    assert list(chained(25, 10)) == [(0, 10), (1, 10), (2, 5)]


def test_the_matrix_has_every_boundary_of_every_action():
    instants = [
        interruption.instant for chain in matrix() for interruption in chain if interruption.instant
    ]

    every = {(action, moment) for action in ACTIONS for moment in Moment}
    assert {(instant.action, instant.moment) for instant in instants} == every - {
        ("generate the kubeconfig", Moment.WAITING)
    }
    assert {instant.termination for instant in instants} == set(Termination)


def test_the_documentation_has_the_number_of_interruptions_in_the_matrix():
    assert (
        f"{len(ACTIONS)} actions, {sum(map(len, matrix()))} ends"
        in (CHECKOUT / "docs" / "reliability.md").read_text()
    )


def test_a_timeline_is_read_from_the_progress_of_a_run():
    assert timeline_of(
        "105.0 10-talos etcd-runs\n109.0 40-apps release-runs-flux\n", 100.0, 110.0
    ) == list(TIMELINE)


def test_a_ledger_lists_and_summarises_finished_bootstraps(
    tmp_path: Path, interrupted_six_times: tuple[Bench, Outcome]
):
    ledger = Ledger(tmp_path / "seed-1.jsonl")
    ledger.keep_timeline(TIMELINE)
    ledger.keep("kills-0", interrupted_six_times[1])

    again = Ledger(ledger.path)

    assert again.timeline() == list(TIMELINE)
    assert list(again.done()) == ["kills-0"]
    text = summary(again, 1)
    assert "An undisturbed run took 10 s." in text
    assert (
        "6 interruptions of 1 bootstraps: 6 converged, 0 came after the end of their run, "
        "0 hit an action that was not needed." in text
    )
    assert "| all | 6 | 6 |" in text


def test_an_interruption_after_the_end_of_a_run_does_not_count(tmp_path: Path):
    from tests.chaos.chain import Interrupted

    ledger = Ledger(tmp_path / "seed-1.jsonl")
    missed = Interrupted(
        "interruption", "90-timing", "x", str(Termination.KILL), 0, missed=True, ending_s=0.0
    )
    broken = Interrupted(
        "interruption", "10-talos", "y", str(Termination.KILL), -9, missed=False, ending_s=0.0
    )
    ledger.keep("kills-0", Outcome([broken, missed], ["release cilium is pending-install"], 1.0))

    text = summary(ledger, 1)

    assert (
        "1 interruptions of 1 bootstraps: 0 converged, 1 came after the end of their run, "
        "0 hit an action that was not needed." in text
    )
    assert "- kills-0: release cilium is pending-install" in text
