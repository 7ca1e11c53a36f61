"""How a chain of interruptions is judged.

Nothing counts as converged that did not end where planned, or that no later run passed.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from firstlight.events import Verdict
from tests.chaos.bench import HUNG, Bench, RunResult
from tests.chaos.chain import Outcome, run_chain
from tests.chaos.moments import Instant, Moment
from tests.chaos.plan import Interruption
from tests.chaos.terminations import Termination
from tests.rehearsals import Rehearsal

ETCD = "etcd-runs"
AT_RANDOM = Interruption(Termination.KILL, "10-talos", ETCD, 1.0)
AT_A_BOUNDARY = Interruption(
    Termination.KILL, instant=Instant("bootstrap etcd", Moment.AFTER_BEGUN, Termination.KILL)
)
KILLED = RunResult(-9, "", 1.0, where=("10-talos", ETCD))
WELL = RunResult(0, "", 1.0)


@dataclass
class Scripted(Bench):
    """A bench whose runs end as scripted."""

    ended: RunResult = KILLED
    last: RunResult = WELL
    met: dict[str, Verdict] = field(default_factory=lambda: {ETCD: Verdict.MET})
    wrong: list[str] = field(default_factory=list)
    finished: bool = False

    def run_until(self, instant: Instant) -> RunResult:
        return self.ended

    def run_until_after(
        self, criterion: str, later_s: float, termination: Termination
    ) -> RunResult:
        return self.ended

    def finish(self) -> RunResult:
        self.finished = True
        return self.last

    def problems(self) -> list[str]:
        return self.wrong

    def journal(self) -> list[dict[str, Any]]:
        now = datetime.now(UTC).isoformat()
        return [
            {"event": "CriterionEnded", "id": name, "verdict": verdict, "at": now}
            for name, verdict in self.met.items()
            if self.finished
        ]


def judged(tmp_path: Path, interruption: Interruption = AT_RANDOM, **script: Any) -> Outcome:
    rehearsal = Rehearsal(tmp_path, tmp_path)
    return run_chain(Scripted(rehearsal, **script), [interruption], say=lambda _: None)


def test_a_run_that_was_killed_and_continued_has_converged(tmp_path: Path):
    outcome = judged(tmp_path)

    assert outcome.converged
    assert outcome.interrupted[0].converged
    assert outcome.interrupted[0].recovered_s is not None


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        pytest.param(
            RunResult(HUNG, "", 900.0, where=("10-talos", ETCD)),
            "it hung and was killed after 900 s",
            id="hung",
        ),
        pytest.param(
            RunResult(1, "", 1.0, missed=True),
            "it ended with 1 before its signal",
            id="failed before",
        ),
        pytest.param(
            RunResult(0, "", 1.0, missed=True, reached=False),
            f"it completed without reaching {ETCD}",
            id="never came there",
        ),
        pytest.param(
            RunResult(-9, "", 1.0, skipped=True),
            "its action was not needed, so that boundary did not occur",
            id="not needed",
        ),
    ],
)
def test_an_interruption_that_did_not_happen_as_planned_fails_its_bootstrap(
    tmp_path: Path, ended: RunResult, why: str
):
    outcome = judged(tmp_path, ended=ended)

    assert outcome.interrupted[0].problems == [why]
    assert not outcome.converged
    assert not outcome.interrupted[0].converged


def test_only_a_random_instant_may_come_after_a_successful_end(tmp_path: Path):
    over = RunResult(0, "", 1.0, missed=True)

    assert judged(tmp_path, ended=over).converged
    assert not judged(tmp_path, ended=over).interrupted[0].converged
    assert judged(tmp_path, AT_A_BOUNDARY, ended=over).interrupted[0].problems == [
        "it completed without reaching that boundary"
    ]


def test_an_interruption_that_no_later_run_passed_has_not_converged(tmp_path: Path):
    outcome = judged(tmp_path, met={"other": Verdict.MET, ETCD: Verdict.NOT_READY})

    assert outcome.problems == [
        f"no later run met {ETCD} (1.00 s into {ETCD}, SIGKILL to the process)"
    ]
    assert not outcome.interrupted[0].converged


def test_a_bootstrap_with_any_problem_has_not_converged(tmp_path: Path):
    assert judged(tmp_path, wrong=["release cilium is pending-install"]).problems == [
        "release cilium is pending-install"
    ]
    assert judged(tmp_path, last=RunResult(1, "", 1.0)).problems == ["the command ended with 1"]


@dataclass(frozen=True)
class Sleeping(Rehearsal):
    """A run that reports one criterion and then hangs."""

    def pytest_command(self, *words: str) -> list[str]:
        says = (
            f"import sys, time; open({str(self.root.parent / 'progress')!r}, 'a')"
            ".write(sys.argv[1]); time.sleep(600)"
        )
        return [sys.executable, "-c", says, *words]


def hanging(tmp_path: Path, progress: str) -> Bench:
    root = tmp_path / "checkout"
    root.mkdir()
    return Bench(Sleeping(root, tmp_path / "state"), (progress,), run_s=2.0)


def test_a_hanging_run_is_ended(tmp_path: Path):
    ended = hanging(tmp_path, "").finish()

    assert ended.code == HUNG


def test_a_run_that_hangs_before_its_criterion_is_ended_too(tmp_path: Path):
    ended = hanging(tmp_path, f"{time.time():.3f} 00-preflight tools\n").run_until_after(
        ETCD, 0.1, Termination.KILL
    )

    assert (ended.code, ended.missed, ended.reached) == (HUNG, True, False)


def test_a_criterion_is_recognised_after_the_next_one_began(tmp_path: Path):
    progress = f"{time.time():.3f} 10-talos {ETCD}\n{time.time():.3f} 10-talos vip\n"

    ended = hanging(tmp_path, progress).run_until_after(ETCD, 0.1, Termination.KILL)

    assert (ended.code, ended.missed, ended.reached) == (-9, False, True)
    assert ended.where == ("10-talos", "vip")


@dataclass(frozen=True)
class IgnoresSigterm(Rehearsal):
    """A run that ignores SIGTERM and ends successfully later."""

    def pytest_command(self, *words: str) -> list[str]:
        waits = "import signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})"
        notes = f"open({str(self.root.parent / 'progress')!r}, 'a').write(sys.argv[1])"
        return [
            sys.executable,
            "-c",
            f"{waits}; {notes}; signal.sigwait({{signal.SIGTERM}})",
            *words,
        ]


def test_a_run_that_ignores_its_signal_did_not_end_before_it(tmp_path: Path):
    root = tmp_path / "checkout"
    root.mkdir()

    ended = Bench(
        IgnoresSigterm(root, tmp_path / "state"),
        (f"{time.time():.3f} 10-talos {ETCD}\n",),
        run_s=20.0,
    ).run_until_after(ETCD, 0.1, Termination.TERMINATE)

    assert (ended.code, ended.missed, ended.reached) == (0, False, True)
