"""Verdicts: the result of each criterion, as a fold over the events of the run."""

from __future__ import annotations

from dataclasses import dataclass, field

from firstlight.errors import FirstlightError, NotReady
from firstlight.events import (
    ActionBegun,
    ActionSkipped,
    CriterionEnded,
    CriterionFailed,
    CriterionLeft,
    CriterionStarted,
    Event,
    HintInfo,
    Observed,
    PhaseEnded,
    ScenarioInfo,
    ScenariosJudged,
    ScenarioStanding,
    Stamped,
    Verdict,
    WaitEnded,
)
from firstlight.failures import hints
from firstlight.journal import BootstrapRecord
from firstlight.process import ToolFailed

SETUP = "setup"
"""The phase of a test in which its fixtures act; any other phase verifies."""


class LeaveCriterion(Exception):
    """Ends the running criterion without verifying it."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(f"{verdict}: {reason}")
        self.verdict = verdict
        self.reason = reason


@dataclass(slots=True)
class CriterionRecord:
    """What the events say about one criterion; `hear` adds to it, `ended` concludes.

    Attributes:
        id: The criterion.
        acted: Whether it performed an action.
        skipped: Whether its action was found not to be needed.
        attempts: How many checks its longest wait took.
        last: What was seen last.
        failure: The first failure, None if nothing failed so far.
        left: Why it was left, None if it was not.
    """

    id: str
    acted: bool = False
    skipped: bool = False
    attempts: int = 0
    last: str = ""
    failure: CriterionFailed | None = None
    left: CriterionLeft | None = None
    setup_s: float = 0.0
    call_s: float = 0.0
    evidence: list[tuple[str, str]] = field(default_factory=list)
    scenarios: tuple[ScenarioInfo, ...] = ()

    @property
    def undecided(self) -> bool:
        """Whether the verdict is still open; the first failure or leave settles it."""
        return self.failure is None and self.left is None

    @property
    def reason(self) -> str:
        """Why it was left or is blocked, empty if it was verified."""
        decisive = self.failure or self.left
        return decisive.reason if decisive is not None else ""

    def hear(self, event: Event) -> None:
        """Add one event of this criterion; others are ignored."""
        match event:
            case ActionBegun():
                self.acted = True
            case ActionSkipped():
                self.skipped = True
            case Observed():
                self.last = event.seen
            case WaitEnded() if event.ok and event.verifies:
                self.attempts = max(self.attempts, event.attempts)
                self.evidence.append((event.condition, event.last))
            case ScenariosJudged():
                self.scenarios = event.scenarios
            case CriterionFailed() if self.undecided:
                self.failure = event
            case CriterionLeft() if self.undecided:
                self.left = event
            case PhaseEnded() if event.phase == SETUP:
                self.setup_s = event.elapsed_s
            case PhaseEnded():
                self.call_s += event.elapsed_s

    def ended(self, *, acted_before: bool, resumed: bool) -> CriterionEnded:
        """Return the event that concludes the criterion.

        Args:
            acted_before: Whether any action was performed in this run, by this criterion or
                earlier.
            resumed: Whether an earlier run began this bootstrap.
        """
        failure, left = self.failure, self.left
        if failure is not None:
            verdict = failure.verdict
        elif left is not None:
            verdict = left.verdict
        else:
            verdict = self._met(acted_before=acted_before, resumed=resumed)
        acting_s = self.setup_s if self.acted else 0.0
        return CriterionEnded(
            id=self.id,
            verdict=verdict,
            acting_s=acting_s,
            waiting_s=self.setup_s + self.call_s - acting_s,
            last_observation=self.last,
            error=failure.error if failure else "",
            reason=self.reason,
            hints=failure.hints if failure else (),
            evidence=tuple(self.evidence),
            scenarios=self.scenarios,
        )

    def _met(self, *, acted_before: bool, resumed: bool) -> Verdict:
        """Tell `met` from `already met`, which was true before any action.

        A criterion whose own action was not needed was already met. One without an action was, if
        it held at the first check, before this run acted, in a bootstrap that an earlier run began.
        """
        if self.acted:
            return Verdict.MET
        at_once = self.attempts <= 1
        already = at_once and (self.skipped or (resumed and not acted_before))
        return Verdict.ALREADY_MET if already else Verdict.MET


@dataclass(slots=True)
class RunRecord:
    """What the events of this run say; it hears every event, after the journal.

    Attributes:
        bootstrap: The record of the bootstrap, which earlier runs may have begun.
        resumed: Whether an earlier run began this bootstrap.
        acted: Whether this run performed an action.
        current: The criterion that is running.
        verdicts: The verdict of each criterion that ended, in order.
        failures: The end of each criterion that failed, in order.
    """

    bootstrap: BootstrapRecord = field(default_factory=BootstrapRecord)
    resumed: bool = False
    acted: bool = False
    current: CriterionRecord = field(default_factory=lambda: CriterionRecord(""))
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    failures: list[CriterionEnded] = field(default_factory=list)

    def hear(self, stamped: Stamped) -> None:
        """Add one event."""
        event = stamped.event
        self.bootstrap.hear(stamped)
        match event:
            case CriterionStarted():
                self.current = CriterionRecord(event.id)
            case CriterionEnded():
                self.verdicts[event.id] = event.verdict
                if event.verdict.failed:
                    self.failures.append(event)
            case _:
                self.acted = self.acted or isinstance(event, ActionBegun)
                self.current.hear(event)

    def conclusion(self) -> CriterionEnded:
        """Return the event that ends the running criterion."""
        return self.current.ended(acted_before=self.acted, resumed=self.resumed)


def failure_of(
    record: CriterionRecord, error: BaseException | None, text: str, *, phase: str
) -> CriterionFailed:
    """Return the event for a failure of the running criterion.

    Args:
        record: The running criterion.
        error: What was raised.
        text: The error as people read it, masked.
        phase: Where it was raised.
    """
    in_action = phase == SETUP and not isinstance(error, NotReady)
    verdict = Verdict.ACTION_FAILED if in_action else Verdict.NOT_READY
    return CriterionFailed(record.id, verdict, text, hints=hints_for(record, error, text))


def hints_for(
    record: CriterionRecord, error: BaseException | None, text: str
) -> tuple[HintInfo, ...]:
    """Return the rows of the failure catalogue that explain a failure."""
    failed = [one.words for one in record.scenarios if one.standing is ScenarioStanding.FAILED]
    # An error shows the end of a tool's output; the reason may be further up.
    output = [error.result.stderr] if isinstance(error, ToolFailed) else []
    rows = error.rows if isinstance(error, FirstlightError) else ()
    return hints("\n".join((text, record.last, *failed, *output)), rows)


def with_hints(error: FirstlightError) -> str:
    """Return an error that is raised outside any criterion, with its hints below it."""
    lines = (
        f"\n  {hint.id}: {hint.cause}\n    {hint.remedy}\n    {hint.anchor}"
        for hint in hints(str(error), error.rows)
    )
    return f"{error}{''.join(lines)}"
