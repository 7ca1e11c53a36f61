"""What a report says, as frozen data: renderers read it and compute nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from firstlight.events import ScenarioStanding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.events import CriterionInfo, HintInfo, ScenarioInfo, StandInInfo, Verdict
    from firstlight.report.comparison import Comparison


class Standing(StrEnum):
    """Where a group of criteria stands: an acceptance criterion, a checklist box, a stage, or the whole run."""

    MET = "met"
    MET_IN_PART = "met in part"
    """Everything that this target can show holds, and something cannot be shown here."""
    FAILED = "failed"
    NOT_VERIFIABLE = "not verifiable here"
    OPEN = "open"
    """Not decided: not reached, under way, blocked, or a part of it was not run."""
    PLANNED = "planned"
    NOT_IN_RUN = "not in this run"


class RunState(StrEnum):
    """How far the record of the run goes."""

    NOT_STARTED = "not started"
    UNDER_WAY = "under way"
    """The record has no end: the run goes on, or it was killed."""
    FINISHED = "finished"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """A command that a criterion ran; the same command run again adds to `times`.

    Attributes:
        command: The command line, masked where it was made.
        changes: Whether it may change the world, or only looks.
        times: How often it was run.
        ended: Whether its last run came to an end.
        exit_code: Of the last run that ended, None when it was ended from outside.
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
    """An action of a criterion: `ok` is None while it goes on, and `needed` False when the world was already so."""

    action: str
    reason: str
    needed: bool
    ok: bool | None
    elapsed_s: float
    detail: str


@dataclass(frozen=True, slots=True)
class WaitRecord:
    """A wait for a condition: `ok` is None while it goes on."""

    condition: str
    budget_s: float
    ok: bool | None
    elapsed_s: float
    attempts: int
    last: str


@dataclass(frozen=True, slots=True)
class ObservationRecord:
    """What a probe saw, seconds after its wait began."""

    condition: str
    seen: str
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """One criterion of the checklist with all its evidence.

    Attributes:
        number: Its place in the checklist, from 1.
        verdict: None as long as it has none.
        word: The verdict in the project's words, or `under way`, `interrupted`, `not begun`, `not in this run`.
        started_s: Seconds after the run's start, None if it never began.
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
        """Whether it was really verified."""
        return self.verdict is not None and self.verdict.holds

    @property
    def failed(self) -> bool:
        """Whether the run failed because of it."""
        return self.verdict is not None and self.verdict.failed

    @property
    def took_s(self) -> float:
        """Return acting and waiting together, in seconds."""
        return self.acting_s + self.waiting_s

    @property
    def unverifiable(self) -> tuple[ScenarioInfo, ...]:
        """Its scenarios that this target cannot show: with one of them, it holds only in part."""
        return tuple(
            one for one in self.scenarios if one.standing is ScenarioStanding.NOT_VERIFIABLE
        )


@dataclass(frozen=True, slots=True)
class GroupResult:
    """A judged group of criteria.

    Attributes:
        key: `AC3`, `10-talos`, or the words of a checklist box.
        title: What it says in the story's words; the key itself for boxes and stages.
        words: The judgement in a few words, with its reservation: "met, 3 not verifiable here".
        criteria: Ids, in run order.
        note: What keeps it from being plainly met, empty if nothing does.
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
        """Whether every one of its criteria was verified and holds."""
        return self.standing is Standing.MET

    @property
    def took_s(self) -> float:
        """Return acting and waiting together, in seconds."""
        return self.acting_s + self.waiting_s


@dataclass(frozen=True, slots=True)
class RunHead:
    """What was run, where, from when to when; `ended_at` is the last known moment while the run has no end."""

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
    """The run's time against the story's budget, in seconds.

    Attributes:
        elapsed_s: Of this run alone.
        total_s: What counts against the budget: until all verified, counted from the bootstrap's first action
            if that is known, else this run's own time so far.
        counted_from: In words, what `total_s` is counted from.
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
        """Return the part of the budget that is used, 1.0 for all of it."""
        return self.total_s / self.budget_s if self.budget_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The whole run in one sentence.

    Attributes:
        next_step: The command with which to go on, empty if there is nothing to do.
        criterion: The criterion that it is about.
        detail: Of a failure, what was seen.
        advice: Of a failure, what the first matching hint says to do.
    """

    standing: Standing
    text: str
    next_step: str = ""
    criterion: str = ""
    detail: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class DiagnosticsRecord:
    """What was collected about a failure: the archive's name in the report's folder, empty when it could not be written."""

    file: str
    pieces: int
    size_bytes: int
    elapsed_s: float
    trouble: str

    @property
    def words(self) -> str:
        """How much it is, and what kept it from being whole."""
        much = (
            f"{self.pieces} files, {max(1, self.size_bytes // 1024)} KiB" if self.file else "none"
        )
        return f"{much}; not whole: {self.trouble}" if self.trouble else much


@dataclass(frozen=True, slots=True)
class Report:
    """The whole report."""

    head: RunHead
    conclusion: Conclusion
    timing: Timing
    counts: Mapping[str, int]
    """Per word (verdicts first, then the words of those without one), only those that occur."""
    criteria: tuple[CriterionResult, ...]
    acceptance: tuple[GroupResult, ...]
    checklist: tuple[GroupResult, ...]
    stages: tuple[GroupResult, ...]
    outside_commands: tuple[CommandRecord, ...]
    """Commands that belong to no criterion."""
    diagnostics: DiagnosticsRecord | None = None
    """What was collected about a failure; none where nothing failed."""
    comparison: Comparison | None = None
    """With the earlier runs of this cluster and target; none for the first, and for a plan."""
