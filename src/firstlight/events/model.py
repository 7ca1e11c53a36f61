"""What can happen in a run: the vocabulary that engine, journal, display and report share."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from firstlight.checklist import CriterionInfo, Stage
from firstlight.failures import HintInfo


class Verdict(StrEnum):
    """The outcome of a criterion; only `MET` and `ALREADY_MET` count as met."""

    MET = "met"
    ALREADY_MET = "already met"
    ACTION_FAILED = "action failed"
    NOT_READY = "not ready in time"
    NOT_REACHED = "not reached"
    NOT_VERIFIABLE = "not verifiable here"
    WILL_ACT = "will act"
    BLOCKED = "blocked"

    @property
    def holds(self) -> bool:
        """Whether the criterion was verified."""
        return self in (Verdict.MET, Verdict.ALREADY_MET)

    @property
    def failed(self) -> bool:
        """Whether it makes the run fail."""
        return self in (Verdict.ACTION_FAILED, Verdict.NOT_READY)


@dataclass(frozen=True, slots=True)
class StandInInfo:
    """Something that a target uses in place of the real thing; every report names it."""

    name: str
    stands_for: str
    cannot_show: str


class ScenarioStanding(StrEnum):
    """The outcome of one scenario of a tool that judges scenarios by itself."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_VERIFIABLE = "not verifiable here"
    """The target lacks what it needs; never counted as passed."""

    LEFT_OUT = "left out"
    """The tool left it out on any target: the feature is not used, or the test is opt-in."""


@dataclass(frozen=True, slots=True)
class ScenarioInfo:
    """A part of a criterion that a tool judges by itself, as `cilium connectivity test` does.

    Attributes:
        name: The tool's name for it.
        standing: The outcome.
        words: Why it failed or was not run, in the tool's words, and the target's reason.
    """

    name: str
    standing: ScenarioStanding
    words: str = ""


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run started, with everything that the head of its report shows."""

    run_id: str
    cluster: str
    target: str
    revision: str
    criteria: tuple[CriterionInfo, ...]
    stand_ins: tuple[StandInInfo, ...]
    tool_versions: tuple[tuple[str, str], ...]
    budget_s: float
    resume_command: str
    plan: bool = False
    stage: str = ""
    nodes: tuple[tuple[str, str, str], ...] = ()
    """Per node: name, role, address."""


@dataclass(frozen=True, slots=True)
class CriterionStarted:
    """A criterion started."""

    id: str


@dataclass(frozen=True, slots=True)
class ActionBegun:
    """An action is about to change something; this is on disk before it does."""

    criterion: str
    action: str
    reason: str


DONE_BEFORE = "done before"
"""The detail of an action that an earlier run, which was killed, turned out to have completed."""


@dataclass(frozen=True, slots=True)
class ActionEnded:
    """An action ended, successfully or not."""

    criterion: str
    action: str
    ok: bool
    elapsed_s: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ActionSkipped:
    """An action was not needed: its result already exists."""

    criterion: str
    action: str


@dataclass(frozen=True, slots=True)
class CommandStarted:
    """A process started; secrets in its arguments are masked."""

    criterion: str
    command: str
    changes: bool
    """Whether it may change something, or only reads."""


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """A line that a long command printed, masked."""

    criterion: str
    line: str


@dataclass(frozen=True, slots=True)
class CommandEnded:
    """A process ended."""

    criterion: str
    command: str
    exit_code: int | None
    elapsed_s: float
    output_tail: tuple[str, ...]
    changes: bool


@dataclass(frozen=True, slots=True)
class WaitStarted:
    """A wait for a condition started; the title completes "waiting for ..."."""

    criterion: str
    condition: str
    budget_s: float


@dataclass(frozen=True, slots=True)
class Observed:
    """What a check saw; emitted only if it differs from the previous check."""

    criterion: str
    condition: str
    seen: str
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class WaitEnded:
    """A wait for a condition ended.

    Attributes:
        criterion: The criterion.
        condition: The title of the condition.
        ok: Whether it held.
        elapsed_s: How long the wait took.
        last: What was seen last.
        attempts: How many checks it took, 0 if it did not hold.
        verifies: Whether the wait verifies the criterion. The retried check whether its action is
            needed does not.
    """

    criterion: str
    condition: str
    ok: bool
    elapsed_s: float
    last: str
    attempts: int
    verifies: bool = True


@dataclass(frozen=True, slots=True)
class ScenariosJudged:
    """A tool that judges scenarios by itself reported what it found, one by one."""

    criterion: str
    scenarios: tuple[ScenarioInfo, ...]


@dataclass(frozen=True, slots=True)
class ActionPlanned:
    """A plan found that a run would perform this action."""

    criterion: str
    action: str


@dataclass(frozen=True, slots=True)
class CriterionLeft:
    """A criterion is left without being verified: not reached, not verifiable here, or planned."""

    criterion: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class CriterionFailed:
    """A criterion failed; the first failure decides its verdict.

    Attributes:
        criterion: Its ID.
        verdict: The verdict that follows from it.
        error: What went wrong, with evidence and next step, masked.
        reason: What blocks a planned criterion, empty in a run.
        hints: The rows of the failure catalogue that match.
    """

    criterion: str
    verdict: Verdict
    error: str
    reason: str = ""
    hints: tuple[HintInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class PhaseEnded:
    """A phase of a criterion ended: `setup`, which performs the action, or `call`, which waits."""

    criterion: str
    phase: str
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class CriterionEnded:
    """A criterion ended with its verdict, which follows from the events since its start."""

    id: str
    verdict: Verdict
    acting_s: float
    waiting_s: float
    last_observation: str = ""
    error: str = ""
    reason: str = ""
    """Why it is not verifiable, not reached or blocked; or what a run would do."""
    hints: tuple[HintInfo, ...] = ()
    evidence: tuple[tuple[str, str], ...] = ()
    """Named facts that it proved, such as versions or members."""
    scenarios: tuple[ScenarioInfo, ...] = ()
    """The outcome of each scenario that a tool judged by itself."""


@dataclass(frozen=True, slots=True)
class DiagnosticsBegun:
    """The run failed, and diagnostics are being collected, for at most so many seconds."""

    stage: Stage
    longest_s: float


@dataclass(frozen=True, slots=True)
class DiagnosticsEnded:
    """Diagnostics are collected.

    Attributes:
        file: The name of the archive in the report folder, empty if it could not be written.
        pieces: The number of files in it.
        size_bytes: The size of the archive.
        elapsed_s: How long collecting took.
        trouble: Why it is incomplete, empty if it is complete.
    """

    file: str
    pieces: int
    size_bytes: int
    elapsed_s: float
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run ended: pytest's exit code, and spans in seconds from the bootstrap's first action."""

    exit_code: int
    interrupted: bool
    first_action_at: str = ""
    ready_after_s: float | None = None
    verified_after_s: float | None = None
    resume_command: str = ""


Event = (
    RunStarted
    | CriterionStarted
    | ActionBegun
    | ActionEnded
    | ActionSkipped
    | CommandStarted
    | CommandOutput
    | CommandEnded
    | WaitStarted
    | Observed
    | WaitEnded
    | ScenariosJudged
    | ActionPlanned
    | CriterionLeft
    | CriterionFailed
    | PhaseEnded
    | CriterionEnded
    | DiagnosticsBegun
    | DiagnosticsEnded
    | RunEnded
)


@dataclass(frozen=True, slots=True)
class Stamped:
    """An event with its wall-clock time, ISO 8601 in UTC, and the seconds since the run began."""

    at: str
    since_start_s: float
    event: Event = field()
