"""One bootstrap that is interrupted repeatedly and continued with the same command.

An interruption has converged if a later run of the same command met the criterion in which it
happened, and if the bootstrap ended with exit code 0, with every criterion met or not verifiable
here, and with nothing wrong in the cluster (`Bench.problems`). Otherwise none of its interruptions
has converged. A run that hangs, fails before its signal, or never reaches its boundary also fails
the bootstrap, because an interruption that did not happen proves nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.chaos.bench import COMPLETE, HUNG, Bench, RunResult
from tests.chaos.plan import MACHINE_CONFIGS, Interruption

GRACEFUL_S = 45.0
"""How long Ctrl+C may take, in seconds.

A child has five seconds to end and five to be reaped, then the report is written. That takes three
seconds on a quiet computer, and twenty beside ten builds. Anything longer never ends.
"""

INTERRUPTED = 2


@dataclass
class Interrupted:
    """One interruption and its outcome.

    Attributes:
        stage: The stage in which the run ended.
        criterion: The criterion in which it ended; empty before the first one.
        code: Its exit code.
        missed: The run was over before; it does not count.
        skipped: The action was not needed, so the boundary did not occur; it does not count.
        ending_s: From a graceful signal to the end.
        recovered_s: From the start of the next run until that criterion was met.
        problems: What was wrong with the way it ended.
    """

    interruption: str
    stage: str
    criterion: str
    termination: str
    code: int
    missed: bool
    ending_s: float
    recovered_s: float | None = None
    converged: bool = False
    problems: list[str] = field(default_factory=list)
    skipped: bool = False

    @property
    def hit(self) -> bool:
        """Whether it counts."""
        return not self.missed and not self.skipped


@dataclass
class Outcome:
    """The outcome of one bootstrap."""

    interrupted: list[Interrupted]
    problems: list[str]
    finished_s: float
    """Duration of the last run, which was not interrupted."""
    output: str = ""

    @property
    def converged(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems and not any(each.problems for each in self.interrupted)


def run_chain(
    bench: Bench, interruptions: Sequence[Interruption], *, say: Callable[[str], None]
) -> Outcome:
    """Start a bootstrap, interrupt it at each instant in turn, finish it, and check the outcome."""
    interrupted: list[Interrupted] = []
    if any(interruption.instant is not None for interruption in interruptions):
        bench.rehearsal.lab("up")
    for interruption in interruptions:
        if interruption.instant is not None and interruption.instant.action == MACHINE_CONFIGS:
            # The lab has generated them. Without their stamp they must be regenerated.
            (
                bench.state
                / "tree"
                / "clusters"
                / "infra"
                / "talos"
                / "clusterconfig"
                / ".generated.json"
            ).unlink(missing_ok=True)
        before, began = len(bench.journal()), time.time()
        ended = (
            bench.run_until(interruption.instant)
            if interruption.instant
            else bench.run_until_after(
                interruption.criterion, interruption.later_s, interruption.termination
            )
        )
        _recover(bench, interrupted, before, began)
        note = Interrupted(
            str(interruption),
            *ended.where,
            str(interruption.termination),
            ended.code,
            ended.missed,
            round(ended.ending_s, 2),
        )
        note.skipped = ended.skipped
        note.problems = _ending_problems(bench, interruption, ended)
        interrupted.append(note)
        problems_of_it = "".join(f"\n  PROBLEM {problem}" for problem in note.problems)
        say(f"{'ended ' if note.hit else 'missed'} {note.interruption}{problems_of_it}")
        if ended.missed:
            # The run is complete, so nothing of this bootstrap is left to interrupt; or it failed.
            break
    before, began = len(bench.journal()), time.time()
    done = bench.finish()
    _recover(bench, interrupted, before, began)
    problems = (
        [*bench.problems(), *_never_recovered(interrupted)]
        if done.code == 0
        else [f"the command ended with {done.code}"]
    )
    outcome = Outcome(interrupted, problems, round(done.seconds, 1), done.output)
    for each in interrupted:
        each.converged = outcome.converged and each.hit
    say(
        f"{'converged' if outcome.converged else 'NOT CONVERGED'} "
        f"after {outcome.finished_s} s {'; '.join(problems)}"
    )
    return outcome


def _recover(bench: Bench, interrupted: Sequence[Interrupted], before: int, began: float) -> None:
    """Record for each interruption if and when the last run met its criterion."""
    met = {
        line["id"]: datetime.fromisoformat(line["at"]).timestamp()
        for line in reversed(bench.journal()[before:])
        if line["event"] == "CriterionEnded" and line["verdict"] in COMPLETE
    }
    for each in interrupted:
        at = met.get(each.criterion) if each.criterion else min(met.values(), default=None)
        if each.recovered_s is None and each.hit and at is not None:
            each.recovered_s = round(at - began, 1)


def _never_recovered(interrupted: Sequence[Interrupted]) -> list[str]:
    return [
        f"no later run met {each.criterion or 'any criterion'} ({each.interruption})"
        for each in interrupted
        if each.hit and each.recovered_s is None
    ]


def _ending_problems(bench: Bench, interruption: Interruption, ended: RunResult) -> list[str]:
    """Return what is wrong with the ending of a run: not as planned, or not graceful."""
    if ended.code == HUNG:
        return [f"it hung and was killed after {ended.seconds:.0f} s"]
    if ended.missed:
        return _missed_problems(interruption, ended)
    if ended.skipped:
        return ["its action was not needed, so that boundary did not occur"]
    if not interruption.termination.is_graceful:
        return []
    if not ended.where[1]:
        # Before its first criterion, a run cannot report anything.
        return (
            [f"still running: {bench.leftover_processes()}"] if bench.leftover_processes() else []
        )
    checks: list[tuple[bool, str]] = [
        (ended.code == INTERRUPTED, f"it ended with {ended.code} instead of {INTERRUPTED}"),
        (ended.ending_s < GRACEFUL_S, f"ending took {ended.ending_s:.1f} s"),
        ("to continue: " in ended.output, "it did not say how to continue"),
        (_state(bench) == "interrupted", f"the report says {_state(bench)}"),
        (not bench.leftover_processes(), f"still running: {bench.leftover_processes()}"),
        ("Traceback" not in ended.output, "it printed a traceback"),
    ]
    return [text for is_right, text in checks if not is_right]


def _missed_problems(interruption: Interruption, ended: RunResult) -> list[str]:
    """Return what is wrong with a run that was not interrupted.

    Only a random instant may come after the end of a successful run.
    """
    if ended.code:
        return [f"it ended with {ended.code} before its signal"]
    if interruption.instant is not None:
        return ["it completed without reaching that boundary"]
    return [] if ended.reached else [f"it completed without reaching {interruption.criterion}"]


def _state(bench: Bench) -> str:
    head: dict[str, Any] = bench.rehearsal.report["head"]
    return str(head["state"])
