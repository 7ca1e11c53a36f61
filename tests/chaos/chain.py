"""One bootstrap that is ended again and again: each time the same command goes on, until the cluster is verified complete.

What counts: an end of a run has converged when a later run of the same command met the criterion in which it happened, and the bootstrap
that it belongs to ended with exit code 0, every criterion met or not verifiable here, and nothing wrong with the cluster (`Bench.troubles`).
If the bootstrap does not end so, none of its ends has converged. A run that hangs, that fails before its blow, or that never comes to the
boundary at which it was to be ended, spoils its bootstrap as well: what was not ended has not been seen to converge.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.chaos.bench import COMPLETE, HUNG, Bench, Ended
from tests.chaos.plan import MACHINE_CONFIGS, Shot

ORDERLY_S = 45.0
"""How long Ctrl+C may take: a child has five seconds to end itself and five to be reaped, then the report is written: three seconds on a quiet
computer, and twenty when ten builds are at work beside it. What never ends takes for ever."""

INTERRUPTED = 2


@dataclass
class Struck:
    """One end of a run, and what came of it.

    Attributes:
        stage: The stage in which the run was ended.
        criterion: The criterion in which it was ended, empty before the first.
        code: What it ended with.
        missed: The run was over before; it does not count.
        skipped: Its action was not needed, so that it was not ended at that boundary; it does not count.
        ending_s: From an orderly signal to the end.
        recovered_s: From the start of the next run to the moment when that criterion was met.
        troubles: What was wrong with the way it ended.
    """

    shot: str
    stage: str
    criterion: str
    blow: str
    code: int
    missed: bool
    ending_s: float
    recovered_s: float | None = None
    converged: bool = False
    troubles: list[str] = field(default_factory=list)
    skipped: bool = False

    @property
    def hit(self) -> bool:
        """Whether it counts."""
        return not self.missed and not self.skipped


@dataclass
class Outcome:
    """What became of one bootstrap."""

    struck: list[Struck]
    troubles: list[str]
    finished_s: float
    """How long the last run took, which nobody ended."""
    output: str = ""

    @property
    def converged(self) -> bool:
        """Whether everything is as it has to be."""
        return not self.troubles and not any(each.troubles for each in self.struck)


def run_chain(bench: Bench, shots: Sequence[Shot], *, say: Callable[[str], None]) -> Outcome:
    """Begin a bootstrap, end it at each instant in turn, finish it, and judge."""
    struck: list[Struck] = []
    if any(shot.instant is not None for shot in shots):
        bench.rehearsal.lab("up")
    for shot in shots:
        if shot.instant is not None and shot.instant.action == MACHINE_CONFIGS:
            # The lab has made them; without their stamp they have to be made anew.
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
            bench.ended_at(shot.instant)
            if shot.instant
            else bench.ended_after(shot.criterion, shot.later_s, shot.blow)
        )
        _recover(bench, struck, before, began)
        note = Struck(
            str(shot),
            *ended.where,
            str(shot.blow),
            ended.code,
            ended.missed,
            round(ended.ending_s, 2),
        )
        note.skipped = ended.skipped
        note.troubles = _right_after(bench, shot, ended)
        struck.append(note)
        say(
            f"{'ended ' if note.hit else 'missed'} {note.shot}{''.join(f'{chr(10)}  TROUBLE {trouble}' for trouble in note.troubles)}"
        )
        if ended.missed:
            # The run went to its end: nothing of this bootstrap is left to be ended, or it failed, which is a trouble.
            break
    before, began = len(bench.journal()), time.time()
    done = bench.finish()
    _recover(bench, struck, before, began)
    troubles = (
        [*bench.troubles(), *_not_come_past(struck)]
        if done.code == 0
        else [f"the command ended with {done.code}"]
    )
    outcome = Outcome(struck, troubles, round(done.seconds, 1), done.output)
    for each in struck:
        each.converged = outcome.converged and each.hit
    say(
        f"{'converged' if outcome.converged else 'NOT CONVERGED'} after {outcome.finished_s} s {'; '.join(troubles)}"
    )
    return outcome


def _recover(bench: Bench, struck: Sequence[Struck], before: int, began: float) -> None:
    """Note for each end whether the run that has just ended met the criterion in which it happened, and after how long."""
    met = {
        line["id"]: datetime.fromisoformat(line["at"]).timestamp()
        for line in reversed(bench.journal()[before:])
        if line["event"] == "CriterionEnded" and line["verdict"] in COMPLETE
    }
    for each in struck:
        at = met.get(each.criterion) if each.criterion else min(met.values(), default=None)
        if each.recovered_s is None and each.hit and at is not None:
            each.recovered_s = round(at - began, 1)


def _not_come_past(struck: Sequence[Struck]) -> list[str]:
    return [
        f"no later run met {each.criterion or 'any criterion'} ({each.shot})"
        for each in struck
        if each.hit and each.recovered_s is None
    ]


def _right_after(bench: Bench, shot: Shot, ended: Ended) -> list[str]:
    """Return what is wrong with the way in which a run ended: that it was not ended as it was to be, or not orderly where that is promised."""
    if ended.code == HUNG:
        return [f"it hung, and was killed after {ended.seconds:.0f} s"]
    if ended.missed:
        return _missed(shot, ended)
    if ended.skipped:
        return ["its action was not needed, so it was not ended at that boundary"]
    if not shot.blow.is_orderly:
        return []
    if not ended.where[1]:
        # Before the first criterion there is no run yet that could say anything.
        return [f"left: {bench.left()}"] if bench.left() else []
    told: list[tuple[bool, str]] = [
        (ended.code == INTERRUPTED, f"it ended with {ended.code}, not with {INTERRUPTED}"),
        (ended.ending_s < ORDERLY_S, f"ending took {ended.ending_s:.1f} s"),
        ("to go on: " in ended.output, "it did not say how to go on"),
        (_state(bench) == "interrupted", f"the report says {_state(bench)}"),
        (not bench.left(), f"left: {bench.left()}"),
        ("Traceback" not in ended.output, "it printed a traceback"),
    ]
    return [text for well, text in told if not well]


def _missed(shot: Shot, ended: Ended) -> list[str]:
    """Return what is wrong with a run that nobody ended: only a random instant may come after the end of a run that went well."""
    if ended.code:
        return [f"it ended with {ended.code} before its blow"]
    if shot.instant is not None:
        return ["it went to its end and never came to that boundary"]
    return [] if ended.reached else [f"it went to its end and never came to {shot.criterion}"]


def _state(bench: Bench) -> str:
    head: dict[str, Any] = bench.rehearsal.report["head"]
    return str(head["state"])
