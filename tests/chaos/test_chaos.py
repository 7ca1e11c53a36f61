"""The fast part of `./task chaos`: one bootstrap up to the CRDs, ended at the boundaries that matter most, then complete."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.bench import Bench, bench_on
from tests.chaos.blows import Blow
from tests.chaos.chain import Outcome, run_chain
from tests.chaos.ledger import Ledger, summary
from tests.chaos.moments import Instant, Moment
from tests.chaos.plan import (
    ACTIONS,
    KILLS,
    START,
    Shot,
    Slot,
    chained,
    matrix,
    random_chain,
    timeline_of,
)
from tests.rehearsal.conftest import CHECKOUT

pytestmark = pytest.mark.timeout(900)

STAGES = ("--stage", "talos,kubernetes,crds")

ETCD, CRDS = "bootstrap etcd", "apply the CRDs"

SHOTS = (
    Instant(ETCD, Moment.BEFORE_BEGUN, Blow.KILL),
    Instant(ETCD, Moment.AFTER_BEGUN, Blow.KILL_GROUP),
    Instant(ETCD, Moment.BEFORE_ENDED, Blow.KILL_ALL),
    Instant("generate the kubeconfig", Moment.AFTER_ENDED, Blow.KILL),
    Instant(CRDS, Moment.DURING, Blow.KILL_ALL, 0.7),
    Instant(CRDS, Moment.DURING, Blow.TERMINATE, 0.7),
)
"""In run order. The machines take the bootstrap and nobody lives to see it; helm is killed with a release half-way; helm is asked to end."""


@pytest.fixture(scope="module")
def ended_six_times(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, Outcome]]:
    # A shell that starts the tests in the background has them ignore SIGINT, and the runs as well.
    heeded = signal.signal(signal.SIGINT, signal.default_int_handler)
    with bench_on(50, tmp_path_factory.mktemp("chaos"), *STAGES) as bench:
        yield (
            bench,
            run_chain(bench, [Shot(instant.blow, instant=instant) for instant in SHOTS], say=print),
        )
    signal.signal(signal.SIGINT, heeded)


def test_the_same_command_converges_after_each_end(ended_six_times: tuple[Bench, Outcome]):
    _, outcome = ended_six_times

    assert outcome.troubles == [], outcome.output[-3000:]
    assert [each.troubles for each in outcome.struck] == [[]] * len(SHOTS)
    assert [each.missed for each in outcome.struck] == [False] * len(SHOTS)
    assert outcome.converged


def test_an_action_that_was_cut_off_is_told_of_by_the_next_run(
    ended_six_times: tuple[Bench, Outcome],
):
    bench, _ = ended_six_times

    third = (bench.rehearsal.root.parent / "run-003.log").read_text()

    assert (
        "an earlier run was cut off while it was about to bootstrap etcd on infra-cp-1 (127.25.50.11): it is looked at anew"
        in third
    )


def test_a_bootstrap_that_the_machines_took_from_a_killed_run_is_not_made_again(
    ended_six_times: tuple[Bench, Outcome],
):
    bench, _ = ended_six_times

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
    shots = random_chain(1, 0, TIMELINE, 1000, KILLS)

    stages = [shot.stage for shot in shots]
    assert stages == sorted(stages, key=("start", "10-talos", "40-apps").index)
    assert 400 < stages.count("start") < 600
    assert 50 < stages.count("40-apps") < 150
    assert {shot.blow for shot in shots} == set(KILLS)
    assert all(0 <= shot.later_s <= 5 for shot in shots)


def test_a_campaign_takes_as_many_ends_as_it_was_told():
    assert list(chained(25, 10)) == [(0, 10), (1, 10), (2, 5)]


def test_the_matrix_has_every_boundary_of_every_action():
    instants = [shot.instant for chain in matrix() for shot in chain if shot.instant]

    every = {(action, moment) for action in ACTIONS for moment in Moment}
    assert {(instant.action, instant.moment) for instant in instants} == every - {
        ("generate the kubeconfig", Moment.WAITING)
    }
    assert {instant.blow for instant in instants} == set(Blow)


def test_the_documentation_says_how_many_ends_the_matrix_has():
    assert (
        f"{len(ACTIONS)} actions, {sum(map(len, matrix()))} ends"
        in (CHECKOUT / "docs" / "reliability.md").read_text()
    )


def test_a_timeline_is_made_from_what_a_run_told():
    assert timeline_of(
        "105.0 10-talos etcd-runs\n109.0 40-apps release-runs-flux\n", 100.0, 110.0
    ) == list(TIMELINE)


def test_a_ledger_says_what_is_done_and_sums_it_up(
    tmp_path: Path, ended_six_times: tuple[Bench, Outcome]
):
    ledger = Ledger(tmp_path / "seed-1.jsonl")
    ledger.keep_timeline(TIMELINE)
    ledger.keep("kills-0", ended_six_times[1])

    again = Ledger(ledger.path)

    assert again.timeline() == list(TIMELINE)
    assert list(again.done()) == ["kills-0"]
    text = summary(again, 1)
    assert "An undisturbed run took 10 s." in text
    assert (
        "6 ends of 1 bootstraps: 6 converged, 0 came after their run's end, 0 met an action that was not needed."
        in text
    )
    assert "| all | 6 | 6 |" in text


def test_an_end_after_the_run_is_over_counts_for_nothing(tmp_path: Path):
    from tests.chaos.chain import Struck

    ledger = Ledger(tmp_path / "seed-1.jsonl")
    missed = Struck("shot", "90-timing", "x", str(Blow.KILL), 0, missed=True, ending_s=0.0)
    broken = Struck("shot", "10-talos", "y", str(Blow.KILL), -9, missed=False, ending_s=0.0)
    ledger.keep("kills-0", Outcome([broken, missed], ["release cilium is pending-install"], 1.0))

    text = summary(ledger, 1)

    assert (
        "1 ends of 1 bootstraps: 0 converged, 1 came after their run's end, 0 met an action that was not needed."
        in text
    )
    assert "- kills-0: release cilium is pending-install" in text
