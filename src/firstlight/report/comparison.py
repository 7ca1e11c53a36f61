"""Compare a run with the earlier ones of its cluster and target: what no longer holds, what holds again, what got slower.

Verdicts are compared with the last look that was taken, in whatever run. Times are compared only between whole bootstraps: a run that goes on with
another one's work, or finds all done, takes no time worth comparing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from firstlight.events import Verdict
from firstlight.report.history import is_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from firstlight.report.history import PastRun
    from firstlight.report.model import CriterionResult, RunHead, Timing

SLOWER_S: Final = 6.0
"""Conditions are looked at with pauses of up to three seconds, so twice that may be chance."""

SLOWER_RATIO: Final = 1.25
"""On a busy machine a tenth more is chance."""

_HELD: Final = (str(Verdict.MET), str(Verdict.ALREADY_MET))
_FAILED: Final = (str(Verdict.ACTION_FAILED), str(Verdict.NOT_READY))
_LOOKED_AT: Final = (*_HELD, *_FAILED, str(Verdict.NOT_VERIFIABLE))


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """A criterion whose verdict is another one than when it was last looked at, and when that was."""

    criterion: str
    title: str
    then: str
    now: str
    at: str


@dataclass(frozen=True, slots=True)
class TimeChange:
    """Seconds that a criterion or a stage took then and takes now."""

    key: str
    title: str
    then_s: float
    now_s: float

    @property
    def slower(self) -> bool:
        """Whether it got slower by more than chance."""
        return self.now_s - self.then_s >= SLOWER_S and self.now_s >= SLOWER_RATIO * self.then_s


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run beside the earlier ones of its cluster and target.

    Attributes:
        earlier: How many earlier runs are known.
        last_at: When the last of them began.
        last_revision: What it was a run of.
        regressed: Criteria that held when they were last looked at, and failed now or cannot be verified any more.
        mended: Criteria that failed when they were last looked at, and hold now.
        timed_with: When the bootstrap began whose times are compared, empty without one.
        untimed: Why times are not compared, empty if they are.
        stages: What each stage took then and now, over the criteria that both runs met by their own doing.
        slower: The criteria that got slower, the worst first.
        verified: From the first action to all verified, then and now; none unless both came to that.
    """

    earlier: int
    last_at: str
    last_revision: str
    regressed: tuple[VerdictChange, ...]
    mended: tuple[VerdictChange, ...]
    timed_with: str = ""
    untimed: str = ""
    stages: tuple[TimeChange, ...] = ()
    slower: tuple[TimeChange, ...] = ()
    verified: TimeChange | None = None


def compare(
    head: RunHead, timing: Timing, criteria: Sequence[CriterionResult], history: Sequence[PastRun]
) -> Comparison | None:
    """Return the comparison, or none for a plan and for a first run."""
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


def _changes(
    criteria: Sequence[CriterionResult], earlier: Sequence[PastRun]
) -> Iterator[VerdictChange]:
    for one in criteria:
        looks = (
            (run, run.criteria[one.info.id])
            for run in reversed(earlier)
            if one.info.id in run.criteria
        )
        last = next(((run, past) for run, past in looks if past.word in _LOOKED_AT), None)
        if last is None:
            continue
        run, past = last
        worse = past.word in _HELD and (one.failed or one.verdict is Verdict.NOT_VERIFIABLE)
        better = past.word in _FAILED and one.holds
        if worse or better:
            yield VerdictChange(one.info.id, one.info.title, past.word, one.word, run.started_at)


def _with_times(
    made: Comparison,
    head: RunHead,
    timing: Timing,
    criteria: Sequence[CriterionResult],
    earlier: Sequence[PastRun],
) -> Comparison:
    if not is_whole(
        stage=head.stage, started_at=head.started_at, first_action_at=timing.first_action_at
    ):
        return replace(made, untimed="this run was no whole bootstrap")
    past = next((run for run in reversed(earlier) if run.whole), None)
    if past is None:
        return replace(made, untimed="no earlier run was a whole bootstrap")
    met = str(Verdict.MET)
    both = [
        one
        for one in criteria
        if one.verdict is Verdict.MET
        and one.info.id in past.criteria
        and past.criteria[one.info.id].word == met
    ]
    changes = [
        TimeChange(one.info.id, one.info.title, past.criteria[one.info.id].took_s, one.took_s)
        for one in both
    ]
    stages = dict.fromkeys(one.info.stage for one in both)
    verified = None
    if past.verified_after_s is not None and timing.verified_after_s is not None:
        verified = TimeChange(
            "verified", "verified after", past.verified_after_s, timing.verified_after_s
        )
    return replace(
        made,
        timed_with=past.started_at,
        stages=tuple(
            _stage(
                stage,
                [
                    change
                    for one, change in zip(both, changes, strict=True)
                    if one.info.stage == stage
                ],
            )
            for stage in stages
        ),
        slower=tuple(
            sorted(
                (change for change in changes if change.slower),
                key=lambda change: change.then_s - change.now_s,
            )
        ),
        verified=verified,
    )


def _stage(stage: str, changes: Sequence[TimeChange]) -> TimeChange:
    return TimeChange(
        stage,
        stage,
        sum(change.then_s for change in changes),
        sum(change.now_s for change in changes),
    )
