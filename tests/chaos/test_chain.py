"""How a chain of ends is judged: nothing counts as converged that was not ended where it was to be, or did not come past it."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from firstlight.events import Verdict
from tests.chaos.bench import HUNG, Bench, Ended
from tests.chaos.blows import Blow
from tests.chaos.chain import Outcome, run_chain
from tests.chaos.moments import Instant, Moment
from tests.chaos.plan import Shot
from tests.rehearsal.conftest import Rehearsal

ETCD = "etcd-runs"
AT_RANDOM = Shot(Blow.KILL, "10-talos", ETCD, 1.0)
AT_A_BOUNDARY = Shot(Blow.KILL, instant=Instant("bootstrap etcd", Moment.AFTER_BEGUN, Blow.KILL))
KILLED = Ended(-9, "", 1.0, where=("10-talos", ETCD))
WELL = Ended(0, "", 1.0)


@dataclass
class Scripted(Bench):
    """A bench on which a run ends as it is told, and the last one has met so much."""

    ended: Ended = KILLED
    last: Ended = WELL
    met: dict[str, Verdict] = field(default_factory=lambda: {ETCD: Verdict.MET})
    wrong: list[str] = field(default_factory=list)
    finished: bool = False

    def ended_at(self, instant: Instant) -> Ended:
        return self.ended

    def ended_after(self, criterion: str, later_s: float, blow: Blow) -> Ended:
        return self.ended

    def finish(self) -> Ended:
        self.finished = True
        return self.last

    def troubles(self) -> list[str]:
        return self.wrong

    def journal(self) -> list[dict[str, Any]]:
        now = datetime.now(UTC).isoformat()
        return [
            {"event": "CriterionEnded", "id": name, "verdict": verdict, "at": now}
            for name, verdict in self.met.items()
            if self.finished
        ]


def judged(tmp_path: Path, shot: Shot = AT_RANDOM, **script: Any) -> Outcome:
    rehearsal = Rehearsal(tmp_path, tmp_path)
    return run_chain(Scripted(rehearsal, **script), [shot], say=lambda _: None)


def test_a_run_that_was_killed_and_gone_on_with_has_converged(tmp_path: Path):
    outcome = judged(tmp_path)

    assert outcome.converged
    assert outcome.struck[0].converged
    assert outcome.struck[0].recovered_s is not None


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        pytest.param(
            Ended(HUNG, "", 900.0, where=("10-talos", ETCD)),
            "it hung, and was killed after 900 s",
            id="hung",
        ),
        pytest.param(
            Ended(1, "", 1.0, missed=True), "it ended with 1 before its blow", id="failed before"
        ),
        pytest.param(
            Ended(0, "", 1.0, missed=True, reached=False),
            f"it went to its end and never came to {ETCD}",
            id="never came there",
        ),
        pytest.param(
            Ended(-9, "", 1.0, skipped=True),
            "its action was not needed, so it was not ended at that boundary",
            id="not needed",
        ),
    ],
)
def test_a_run_that_was_not_ended_as_it_was_to_be_spoils_its_bootstrap(
    tmp_path: Path, ended: Ended, why: str
):
    outcome = judged(tmp_path, ended=ended)

    assert outcome.struck[0].troubles == [why]
    assert not outcome.converged
    assert not outcome.struck[0].converged


def test_only_a_random_instant_may_come_after_the_end_of_a_run_that_went_well(tmp_path: Path):
    over = Ended(0, "", 1.0, missed=True)

    assert judged(tmp_path, ended=over).converged
    assert not judged(tmp_path, ended=over).struck[0].converged
    assert judged(tmp_path, AT_A_BOUNDARY, ended=over).struck[0].troubles == [
        "it went to its end and never came to that boundary"
    ]


def test_an_end_that_no_later_run_came_past_has_not_converged(tmp_path: Path):
    outcome = judged(tmp_path, met={"other": Verdict.MET, ETCD: Verdict.NOT_READY})

    assert outcome.troubles == [
        f"no later run met {ETCD} (1.00 s into {ETCD}, SIGKILL to the process)"
    ]
    assert not outcome.struck[0].converged


def test_a_bootstrap_that_ends_with_anything_wrong_has_not_converged(tmp_path: Path):
    assert judged(tmp_path, wrong=["release cilium is pending-install"]).troubles == [
        "release cilium is pending-install"
    ]
    assert judged(tmp_path, last=Ended(1, "", 1.0)).troubles == ["the command ended with 1"]


@dataclass(frozen=True)
class Sleeping(Rehearsal):
    """A run that tells of one criterion and then hangs."""

    def pytest_command(self, *words: str) -> list[str]:
        says = f"import sys, time; open({str(self.root.parent / 'told')!r}, 'a').write(sys.argv[1]); time.sleep(600)"
        return [sys.executable, "-c", says, *words]


def hanging(tmp_path: Path, told: str) -> Bench:
    root = tmp_path / "checkout"
    root.mkdir()
    return Bench(Sleeping(root, tmp_path / "state"), (told,), run_s=2.0)


def test_a_run_that_hangs_is_ended_and_hangs_nobody_else(tmp_path: Path):
    ended = hanging(tmp_path, "").finish()

    assert ended.code == HUNG


def test_a_run_that_hangs_before_the_wanted_criterion_is_ended_too(tmp_path: Path):
    ended = hanging(tmp_path, f"{time.time():.3f} 00-preflight tools\n").ended_after(
        ETCD, 0.1, Blow.KILL
    )

    assert (ended.code, ended.missed, ended.reached) == (HUNG, True, False)


def test_a_criterion_is_seen_also_when_another_one_has_followed(tmp_path: Path):
    told = f"{time.time():.3f} 10-talos {ETCD}\n{time.time():.3f} 10-talos vip\n"

    ended = hanging(tmp_path, told).ended_after(ETCD, 0.1, Blow.KILL)

    assert (ended.code, ended.missed, ended.reached) == (-9, False, True)
    assert ended.where == ("10-talos", "vip")


@dataclass(frozen=True)
class Deaf(Rehearsal):
    """A run that ends well when it is told to end, as if nobody had said a word."""

    def pytest_command(self, *words: str) -> list[str]:
        waits = "import signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})"
        tells = f"open({str(self.root.parent / 'told')!r}, 'a').write(sys.argv[1])"
        return [
            sys.executable,
            "-c",
            f"{waits}; {tells}; signal.sigwait({{signal.SIGTERM}})",
            *words,
        ]


def test_a_run_that_does_not_heed_a_signal_has_not_ended_before_it(tmp_path: Path):
    root = tmp_path / "checkout"
    root.mkdir()

    ended = Bench(
        Deaf(root, tmp_path / "state"), (f"{time.time():.3f} 10-talos {ETCD}\n",), run_s=20.0
    ).ended_after(ETCD, 0.1, Blow.TERMINATE)

    assert (ended.code, ended.missed, ended.reached) == (0, False, True)
