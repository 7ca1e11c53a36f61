"""What can happen in a run: the one vocabulary that journal, display and report read."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """What became of a criterion; only `MET` and `ALREADY_MET` count as met."""

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
        """Whether the criterion was really verified."""
        return self in (Verdict.MET, Verdict.ALREADY_MET)

    @property
    def failed(self) -> bool:
        """Whether the run failed because of it."""
        return self in (Verdict.ACTION_FAILED, Verdict.NOT_READY)


@dataclass(frozen=True, slots=True)
class CriterionInfo:
    """What is known of a criterion before it runs.

    Attributes:
        id: The name of its test without `test_`, in dashes: `etcd-runs-on-every-control-plane-node`.
        nodeid: pytest's own name of the test.
        acceptance: The story's acceptance criteria it belongs to, `AC1` to `AC7`, possibly several.
        title: The true sentence about the cluster.
        task: The story's task number, 0 for none.
        stage: The stage's key, `10-talos`.
        boxes: The story's validation-checklist boxes that it ticks, in the story's words.
        budget_s: How long its condition may take, in seconds.
        anchor: The runbook anchor, `docs/runbooks/bootstrap.md#<id>`.
        needs: Capabilities of the target without which it cannot be verified.
    """

    id: str
    nodeid: str
    acceptance: tuple[str, ...]
    title: str
    task: int
    stage: str
    boxes: tuple[str, ...]
    budget_s: float
    anchor: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StandInInfo:
    """Something on the target that stands for the real thing, named in every report."""

    name: str
    stands_for: str
    cannot_show: str


@dataclass(frozen=True, slots=True)
class HintInfo:
    """A failure-catalogue row that matched the evidence."""

    id: str
    cause: str
    remedy: str
    commands: tuple[str, ...] = ()
    anchor: str = ""


class ScenarioStanding(StrEnum):
    """What a tool that tests by itself found of one of its scenarios."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_VERIFIABLE = "not verifiable here"
    """The target lacks what it needs; never counted as passed."""

    LEFT_OUT = "left out"
    """The tool left it out, on any target: the definition does not use what it is about, or nobody asked for it."""


@dataclass(frozen=True, slots=True)
class ScenarioInfo:
    """A part of a criterion that a tool tests and judges by itself, as `cilium connectivity test` does.

    Attributes:
        name: The tool's own name of it.
        standing: What the tool found.
        words: Why it failed or was not run, in the tool's words, and the target's reason.
    """

    name: str
    standing: ScenarioStanding
    words: str = ""


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins, with everything that its report's head shows."""

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
    """A criterion's setup begins."""

    id: str


@dataclass(frozen=True, slots=True)
class ActionBegun:
    """An action is about to change the world: on disk before it does."""

    criterion: str
    action: str
    reason: str


DONE_BEFORE = "done before"
"""The detail of an action that turned out, while it was made, to have been carried out by a run that did not live to see it."""


@dataclass(frozen=True, slots=True)
class ActionEnded:
    """An action ended, well or not."""

    criterion: str
    action: str
    ok: bool
    elapsed_s: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ActionSkipped:
    """An action was found not to be needed: the world is already so."""

    criterion: str
    action: str


@dataclass(frozen=True, slots=True)
class CommandStarted:
    """A process starts; secrets in its arguments are masked."""

    criterion: str
    command: str
    changes: bool
    """Whether it may change the world (an action's) or only looks."""


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
    """Waiting for a condition begins; its title completes "waiting for ..."."""

    criterion: str
    condition: str
    budget_s: float


@dataclass(frozen=True, slots=True)
class Observed:
    """What a probe saw; sent only when it differs from the one before."""

    criterion: str
    condition: str
    seen: str
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class WaitEnded:
    """Waiting for a condition ended."""

    criterion: str
    condition: str
    ok: bool
    elapsed_s: float
    last: str
    attempts: int


@dataclass(frozen=True, slots=True)
class CriterionEnded:
    """A criterion has its verdict."""

    id: str
    verdict: Verdict
    acting_s: float
    waiting_s: float
    last_observation: str = ""
    error: str = ""
    reason: str = ""
    """Why it is not verifiable, not reached, blocked; or what a plan would do."""
    hints: tuple[HintInfo, ...] = ()
    evidence: tuple[tuple[str, str], ...] = ()
    """Named facts that it proved, such as versions or members."""
    scenarios: tuple[ScenarioInfo, ...] = ()
    """What a tool that tests by itself found, one by one."""


@dataclass(frozen=True, slots=True)
class DiagnosticsBegun:
    """The run has failed, and what explains it is being collected, for so many seconds at most."""

    stage: str
    longest_s: float


@dataclass(frozen=True, slots=True)
class DiagnosticsEnded:
    """Diagnostics are collected.

    Attributes:
        file: The archive's name in the report's folder, empty when it could not be written.
        pieces: How many files are in it.
        size_bytes: Of the archive.
        elapsed_s: How long it took.
        trouble: What kept it from being whole, empty when nothing did.
    """

    file: str
    pieces: int
    size_bytes: int
    elapsed_s: float
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run is over: exit code as pytest's, spans in seconds counted from the first action of this bootstrap."""

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
