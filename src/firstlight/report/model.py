"""What a report contains, as frozen data: renderers only read it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from firstlight.events import ScenarioStanding
from firstlight.formatting import UNICODE, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.checklist import CriterionInfo
    from firstlight.events import HintInfo, ScenarioInfo, StandInInfo, Verdict

SLOWER_S: Final = 6.0
"""Conditions are polled with pauses of up to three seconds, so twice that may be chance."""

SLOWER_RATIO: Final = 1.25
"""On a busy machine a tenth more is chance."""


class Standing(StrEnum):
    """The state of a group of criteria: an acceptance criterion, a box, a stage, or the run."""

    MET = "met"
    MET_IN_PART = "met in part"
    """Everything that this target can show holds, but it cannot show everything."""
    FAILED = "failed"
    NOT_VERIFIABLE = "not verifiable here"
    OPEN = "open"
    """Undecided: not reached, under way, blocked, or only part of it was run."""
    PLANNED = "planned"
    NOT_IN_RUN = "not in this run"

    @property
    def glyph(self) -> str:
        """The sign of the standing in the page and in Markdown."""
        return {
            Standing.MET: UNICODE.met,
            Standing.MET_IN_PART: UNICODE.in_part,
            Standing.FAILED: UNICODE.failed,
            Standing.NOT_VERIFIABLE: UNICODE.warning,
            Standing.OPEN: UNICODE.waiting,
            Standing.PLANNED: UNICODE.action,
            Standing.NOT_IN_RUN: UNICODE.none,
        }[self]


class RunState(StrEnum):
    """How far the record of the run goes."""

    NOT_STARTED = "not started"
    UNDER_WAY = "under way"
    """The record has no end: the run is still going, or it was killed."""
    FINISHED = "finished"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """A command that a criterion ran; running the same command again adds to `times`.

    Attributes:
        command: The command line, with secrets masked.
        changes: Whether it may change something, or only reads.
        times: How often it was run.
        ended: Whether its last run ended.
        exit_code: Of the last run that ended; None if it was ended from outside.
        elapsed_s: Of all runs together, in seconds.
        tail: The last lines that its last run printed.
    """

    command: str
    changes: bool
    times: int
    ended: bool
    exit_code: int | None
    elapsed_s: float
    tail: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """An action of a criterion.

    Attributes:
        needed: False if the cluster was already in the wanted state.
        ok: None while the action is running.
    """

    action: str
    reason: str
    needed: bool
    ok: bool | None
    elapsed_s: float
    detail: str


@dataclass(frozen=True, slots=True)
class WaitRecord:
    """A wait for a condition; `ok` is None while it goes on."""

    condition: str
    budget_s: float
    ok: bool | None
    elapsed_s: float
    attempts: int
    last: str


@dataclass(frozen=True, slots=True)
class ObservationRecord:
    """What a probe saw, and how many seconds after its wait began."""

    condition: str
    seen: str
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """A criterion of the checklist with all its evidence.

    Attributes:
        number: Its place in the checklist, counted from 1.
        verdict: None as long as there is no verdict.
        word: The verdict, or `under way`, `interrupted`, `not begun`, `not in this run`.
        started_s: Seconds after the start of the run; None if it never began.
    """

    info: CriterionInfo
    number: int
    verdict: Verdict | None
    word: str
    started_s: float | None
    acting_s: float
    waiting_s: float
    last_observation: str
    error: str
    reason: str
    hints: tuple[HintInfo, ...]
    evidence: tuple[tuple[str, str], ...]
    evidence_left_off: int
    scenarios: tuple[ScenarioInfo, ...]
    actions: tuple[ActionRecord, ...]
    waits: tuple[WaitRecord, ...]
    waits_left_off: int
    observations: tuple[ObservationRecord, ...]
    observations_left_off: int
    commands: tuple[CommandRecord, ...]
    commands_left_off: int

    @property
    def holds(self) -> bool:
        """Whether the criterion was verified."""
        return self.verdict is not None and self.verdict.holds

    @property
    def failed(self) -> bool:
        """Whether the run failed because of this criterion."""
        return self.verdict is not None and self.verdict.failed

    @property
    def took_s(self) -> float:
        """Acting and waiting together, in seconds."""
        return self.acting_s + self.waiting_s

    @property
    def unverifiable(self) -> tuple[ScenarioInfo, ...]:
        """The scenarios that this target cannot show: with any, the criterion is met in part."""
        return tuple(
            one for one in self.scenarios if one.standing is ScenarioStanding.NOT_VERIFIABLE
        )

    @property
    def first_line(self) -> str:
        """The first line of the error, empty without an error."""
        return next(iter(self.error.strip().splitlines()), "")


@dataclass(frozen=True, slots=True)
class GroupResult:
    """A group of criteria with its judgement.

    Attributes:
        key: `AC3`, `10-talos`, or the text of a checklist box.
        title: The story's words; the key itself for boxes and stages.
        words: The judgement with its reservation: "met, 3 not verifiable here".
        criteria: IDs of its criteria, in run order.
        note: Why it is not fully met, empty if it is.
    """

    key: str
    title: str
    standing: Standing
    words: str
    criteria: tuple[str, ...]
    holding: int
    acting_s: float
    waiting_s: float
    note: str = ""

    @property
    def ticked(self) -> bool:
        """Whether every one of its criteria was verified."""
        return self.standing is Standing.MET

    @property
    def took_s(self) -> float:
        """Acting and waiting together, in seconds."""
        return self.acting_s + self.waiting_s


@dataclass(frozen=True, slots=True)
class RunHead:
    """What was run, where and when; without an end, `ended_at` is the last known moment."""

    run_id: str
    cluster: str
    target: str
    revision: str
    plan: bool
    stage: str
    state: RunState
    exit_code: int | None
    started_at: str
    ended_at: str
    stand_ins: tuple[StandInInfo, ...]
    tool_versions: tuple[tuple[str, str], ...]
    nodes: tuple[tuple[str, str, str], ...]
    resume_command: str


@dataclass(frozen=True, slots=True)
class Timing:
    """The time of the run against the story's budget, in seconds.

    Attributes:
        elapsed_s: Of this run alone.
        total_s: What counts against the budget: from the first action of the bootstrap until
            everything was verified if that is known, or else the time of this run so far. Nothing
            if the run ended and no action is on record.
        counted_from: What `total_s` is counted from, in words; empty if no action is on record.
    """

    budget_s: float
    elapsed_s: float
    first_action_at: str
    ready_after_s: float | None
    verified_after_s: float | None
    total_s: float
    counted_from: str

    @property
    def share(self) -> float:
        """The part of the budget that is used, 1.0 for all of it."""
        return self.total_s / self.budget_s if self.budget_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The whole run in one sentence.

    Attributes:
        next_step: The command that continues the run, empty if nothing is left to do.
        criterion: The ID of the criterion that it is about.
        detail: What was seen, for a failure.
        advice: What the first matching hint recommends, for a failure.
    """

    standing: Standing
    text: str
    next_step: str = ""
    criterion: str = ""
    detail: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class DiagnosticsRecord:
    """The diagnostics of a failure.

    Attributes:
        file: The archive's name in the report folder, empty if it could not be written.
        pieces: How many files are in it.
        size_bytes: Of the archive.
        elapsed_s: How long collecting took, in seconds.
        trouble: Why the archive is incomplete, empty if it is complete.
    """

    file: str
    pieces: int
    size_bytes: int
    elapsed_s: float
    trouble: str

    @property
    def words(self) -> str:
        """How much was collected, and why it is incomplete."""
        size = f"{max(1, self.size_bytes // 1024)} KiB"
        collected = f"{plural(self.pieces, 'file')}, {size}" if self.file else "not saved"
        return f"{collected}; incomplete: {self.trouble}" if self.trouble else collected


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """A criterion whose verdict changed since it was last verified, and when that was."""

    criterion: str
    title: str
    then: str
    now: str
    at: str


@dataclass(frozen=True, slots=True)
class TimeChange:
    """How long a criterion or a stage took then and takes now, in seconds."""

    key: str
    title: str
    then_s: float
    now_s: float

    @property
    def slower(self) -> bool:
        """Whether it became slower by more than chance."""
        return self.now_s - self.then_s >= SLOWER_S and self.now_s >= SLOWER_RATIO * self.then_s


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run compared with the earlier runs on its cluster and target.

    Attributes:
        earlier: How many earlier runs are known.
        last_at: When the last of them began.
        last_revision: The revision that it ran.
        regressed: Criteria that held when last verified, and now failed or cannot be verified.
        mended: Criteria that failed when last verified, and hold now.
        timed_with: When the bootstrap began whose times are compared; empty without one.
        untimed: Why times are not compared, empty if they are.
        stages: The time of each stage then and now, over criteria that both runs met themselves.
        slower: The criteria that became slower, worst first.
        verified: From the first action until everything was verified, then and now; None unless
            both runs got that far.
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


@dataclass(frozen=True, slots=True)
class Report:
    """The whole report.

    Attributes:
        counts: How many criteria have which word, verdicts first; words that occur only.
        outside_commands: Commands that belong to no criterion.
        diagnostics: None unless something failed.
        comparison: None for a plan and for the first run on a cluster and target.
    """

    head: RunHead
    conclusion: Conclusion
    timing: Timing
    counts: Mapping[str, int]
    criteria: tuple[CriterionResult, ...]
    acceptance: tuple[GroupResult, ...]
    checklist: tuple[GroupResult, ...]
    stages: tuple[GroupResult, ...]
    outside_commands: tuple[CommandRecord, ...]
    diagnostics: DiagnosticsRecord | None = None
    comparison: Comparison | None = None
