"""Compare a run with earlier ones on its cluster and target: what broke, recovered, slowed down.

Verdicts are compared with the last run that verified the criterion. Times are compared only
between complete bootstraps: a run that continues another one, or finds everything done, has no
useful times.

The report folder keeps one line of history per run. It is written when the next run begins, from
the report that the run left, so a killed run has one too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from firstlight.checklist import Stage
from firstlight.events import Verdict
from firstlight.files import write_atomically
from firstlight.report.model import Comparison, TimeChange, VerdictChange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from firstlight.report.model import CriterionResult, RunHead, Timing

HISTORY: Final = "history.jsonl"

KEPT: Final = 100
"""How many runs are kept: a line has about eight kilobytes."""

_HELD: Final = (str(Verdict.MET), str(Verdict.ALREADY_MET))
_FAILED: Final = (str(Verdict.ACTION_FAILED), str(Verdict.NOT_READY))
_CHECKED: Final = (*_HELD, *_FAILED, str(Verdict.NOT_VERIFIABLE))


@dataclass(frozen=True, slots=True)
class PastCriterion:
    """A criterion as an earlier run left it."""

    word: str
    took_s: float


@dataclass(frozen=True, slots=True)
class PastRun:
    """An earlier run.

    Attributes:
        whole: Whether it was a complete bootstrap, see `is_whole`.
        verified_after_s: Seconds from the first action until everything was verified; None if the
            run did not get that far.
    """

    run_id: str
    cluster: str
    target: str
    revision: str
    started_at: str
    plan: bool
    whole: bool
    verified_after_s: float | None
    criteria: Mapping[str, PastCriterion]


def is_whole(*, stage: str, started_at: str, first_action_at: str) -> bool:
    """Report whether a run was a complete bootstrap: all stages, and begun by the run itself."""
    if stage or not first_action_at or not started_at:
        return False
    # The time of the first action is known to the second.
    began = datetime.fromisoformat(started_at).replace(microsecond=0)
    return datetime.fromisoformat(first_action_at) >= began


def compare(
    head: RunHead, timing: Timing, criteria: Sequence[CriterionResult], history: Sequence[PastRun]
) -> Comparison | None:
    """Return the comparison; None for a plan and for a first run."""
    earlier = [
        one
        for one in history
        if (one.cluster, one.target) == (head.cluster, head.target)
        and not one.plan
        and one.run_id != head.run_id
    ]
    if head.plan or not earlier:
        return None
    changes = tuple(_changes(criteria, earlier))
    verdicts = Comparison(
        earlier=len(earlier),
        last_at=earlier[-1].started_at,
        last_revision=earlier[-1].revision,
        regressed=tuple(change for change in changes if change.then in _HELD),
        mended=tuple(change for change in changes if change.then in _FAILED),
    )
    return _with_times(verdicts, head, timing, criteria, earlier)


def update_history(folder: Path) -> tuple[PastRun, ...]:
    """Return the earlier runs of a report folder, oldest first; add the one that left its report.

    Raises:
        OSError: The folder cannot be written to.
    """
    lines = _read(folder / HISTORY)
    last = _line_of(folder / "report.json")
    if last is not None and last["run_id"] not in {line["run_id"] for line in lines}:
        lines = [*lines, last][-KEPT:]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        write_atomically(folder / HISTORY, text, mode=None, durable=False)
    return tuple(_past(line) for line in lines)


def _changes(
    criteria: Sequence[CriterionResult], earlier: Sequence[PastRun]
) -> Iterator[VerdictChange]:
    for one in criteria:
        checks = (
            (run, run.criteria[one.info.id])
            for run in reversed(earlier)
            if one.info.id in run.criteria
        )
        last = next(((run, past) for run, past in checks if past.word in _CHECKED), None)
        if last is None:
            continue
        run, past = last
        # Without the journal the time is unknown, which is no change of the cluster.
        lacks = one.verdict is Verdict.NOT_VERIFIABLE and one.info.stage is not Stage.TIMING
        worse = past.word in _HELD and (one.failed or lacks)
        better = past.word in _FAILED and one.holds
        if worse or better:
            yield VerdictChange(one.info.id, one.info.title, past.word, one.word, run.started_at)


def _with_times(
    compared: Comparison,
    head: RunHead,
    timing: Timing,
    criteria: Sequence[CriterionResult],
    earlier: Sequence[PastRun],
) -> Comparison:
    if not is_whole(
        stage=head.stage, started_at=head.started_at, first_action_at=timing.first_action_at
    ):
        return replace(compared, untimed="this run was not a complete bootstrap")
    past = next((run for run in reversed(earlier) if run.whole), None)
    if past is None:
        return replace(compared, untimed="no earlier run was a complete bootstrap")
    times: dict[str, list[TimeChange]] = {}
    for one in criteria:
        then = past.criteria.get(one.info.id)
        if one.verdict is Verdict.MET and then is not None and then.word == Verdict.MET:
            times.setdefault(one.info.stage, []).append(
                TimeChange(one.info.id, one.info.title, then.took_s, one.took_s)
            )
    slower = [change for changes in times.values() for change in changes if change.slower]
    verified = None
    if past.verified_after_s is not None and timing.verified_after_s is not None:
        verified = TimeChange(
            "verified", "verified after", past.verified_after_s, timing.verified_after_s
        )
    return replace(
        compared,
        timed_with=past.started_at,
        stages=tuple(_sum(str(stage), changes) for stage, changes in times.items()),
        slower=tuple(sorted(slower, key=lambda change: change.then_s - change.now_s)),
        verified=verified,
    )


def _sum(stage: str, changes: Sequence[TimeChange]) -> TimeChange:
    then_s = sum(change.then_s for change in changes)
    return TimeChange(stage, stage, then_s, sum(change.now_s for change in changes))


def _read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of history; one that cannot be read is dropped and never stops a run."""
    try:
        written = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
    lines = []
    for text in written:
        try:
            line = json.loads(text)
            _past(line)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        lines.append(line)
    return lines


def _line_of(report: Path) -> dict[str, Any] | None:
    """Return the line of history for a report; None if there is no report of a run."""
    try:
        extra = json.loads(report.read_text(encoding="utf-8"))["extra"]
        head, timing = extra["head"], extra["timing"]
        line: dict[str, Any] = {
            key: head[key]
            for key in ("run_id", "cluster", "target", "revision", "started_at", "plan", "stage")
        }
        line |= {key: timing[key] for key in ("first_action_at", "verified_after_s")}
        line["criteria"] = {
            one["id"]: [one["word"], round(one["acting_s"] + one["waiting_s"], 3)]
            for one in extra["criteria"]
        }
        _past(line)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return line if line["run_id"] else None


def _past(line: Mapping[str, Any]) -> PastRun:
    verified_s = line["verified_after_s"]
    return PastRun(
        run_id=str(line["run_id"]),
        cluster=str(line["cluster"]),
        target=str(line["target"]),
        revision=str(line["revision"]),
        started_at=str(line["started_at"]),
        plan=bool(line["plan"]),
        whole=is_whole(
            stage=line["stage"],
            started_at=line["started_at"],
            first_action_at=line["first_action_at"],
        ),
        verified_after_s=None if verified_s is None else float(verified_s),
        criteria={
            key: PastCriterion(str(word), float(took_s))
            for key, (word, took_s) in line["criteria"].items()
        },
    )
