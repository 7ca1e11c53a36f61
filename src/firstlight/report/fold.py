"""Fold a stream of events into a report, at any moment and from any part of a run."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from firstlight.checklist import CriterionInfo, Stage
from firstlight.events import (
    ActionBegun,
    ActionEnded,
    ActionSkipped,
    CommandEnded,
    CommandStarted,
    CriterionEnded,
    CriterionStarted,
    DiagnosticsEnded,
    Observed,
    RunEnded,
    RunStarted,
    Stamped,
    Verdict,
    WaitEnded,
    WaitStarted,
)
from firstlight.report.judgement import (
    NOT_IN_RUN,
    conclude,
    judge_acceptance,
    judge_checklist,
    judge_stages,
)
from firstlight.report.model import (
    ActionRecord,
    CommandRecord,
    CriterionResult,
    DiagnosticsRecord,
    ObservationRecord,
    Report,
    RunHead,
    RunState,
    Timing,
    WaitRecord,
)

UNDER_WAY: Final = "under way"
NOT_BEGUN: Final = "not begun"
INTERRUPTED: Final = "interrupted"

OBSERVATIONS_MAX: Final = 60
"""Per criterion: a flapping probe must not bloat the page. The newest are kept, others counted."""

COMMANDS_MAX: Final = 60
"""Different commands per criterion; on six machines the longest criterion needs about twenty."""

WAITS_MAX: Final = 30
"""Conditions, and facts, per criterion: of hundreds of healthy machines the newest are enough."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def fold(stream: Iterable[Stamped]) -> Report:
    """Return the report of a recorded stream; if it holds several runs, of the last one."""
    folding = Fold()
    for stamped in stream:
        folding.hear(stamped)
    return folding.report()


class Fold:
    """Takes in events one by one and gives a report at any time."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._start: RunStarted | None = None
        self._end: RunEnded | None = None
        self._diagnostics: DiagnosticsRecord | None = None
        self._started_at = ""
        self._last_at = ""
        self._offset_s = 0.0
        self._last_s = 0.0
        self._infos: dict[str, CriterionInfo] = {}
        self._gathered: dict[str, Gathered] = {}
        self._outside = Gathered()

    def hear(self, stamped: Stamped) -> None:
        """Take in an event; the start of a run discards the run before. Ignore unknown events."""
        event = stamped.event
        if isinstance(event, RunStarted):
            self._reset()
            self._start = event
            self._started_at = stamped.at
            self._offset_s = stamped.since_start_s
            self._infos = {info.id: info for info in event.criteria}
        at_s = stamped.since_start_s - self._offset_s
        self._last_at = stamped.at
        self._last_s = max(self._last_s, at_s)
        match event:
            case DiagnosticsEnded():
                self._diagnostics = DiagnosticsRecord(
                    event.file, event.pieces, event.size_bytes, event.elapsed_s, event.trouble
                )
            case RunEnded():
                self._end = event
            case CriterionStarted():
                self._of(event.id).started_s = at_s
            case CriterionEnded():
                self._of(event.id).ended = event
            case (
                ActionBegun()
                | ActionEnded()
                | ActionSkipped()
                | CommandStarted()
                | CommandEnded()
                | WaitStarted()
                | Observed()
                | WaitEnded()
            ):
                # Work before the first criterion, such as opening the target, belongs to none.
                gathered = self._of(event.criterion) if event.criterion else self._outside
                gathered.hear(event, at_s)
            case _:
                pass

    @property
    def nodeids(self) -> frozenset[str]:
        """The names in pytest of all criteria that are known now."""
        return frozenset(info.nodeid for info in self._infos.values())

    def report(self) -> Report:
        """Return what is known now."""
        head = self._head()
        criteria = tuple(
            self._gathered.get(info.id, Gathered()).result(
                info, number, self._word(info), self._last_s
            )
            for number, info in enumerate(self._infos.values(), start=1)
        )
        return Report(
            head=head,
            conclusion=conclude(head, criteria),
            timing=self._timing(),
            counts=_counts(criteria),
            criteria=criteria,
            acceptance=judge_acceptance(criteria),
            checklist=judge_checklist(criteria),
            stages=judge_stages(criteria),
            outside_commands=tuple(self._outside.commands.values()),
            diagnostics=self._diagnostics,
        )

    def _of(self, criterion: str) -> Gathered:
        if criterion not in self._infos:
            # An extra row is better than evidence that nobody sees.
            self._infos[criterion] = CriterionInfo(
                criterion, "", (), criterion, 0, Stage.UNLISTED, (), 0.0, ""
            )
        return self._gathered.setdefault(criterion, Gathered())

    def _word(self, info: CriterionInfo) -> str:
        gathered = self._gathered.get(info.id)
        if gathered is not None and gathered.ended is not None:
            return str(gathered.ended.verdict)
        if gathered is not None and gathered.started_s is not None:
            return UNDER_WAY if self._end is None else INTERRUPTED
        if self._end is None or self._start is None:
            return NOT_BEGUN
        if self._start.stage:
            # A run of one stage announces the whole checklist.
            return NOT_BEGUN if self._end.interrupted else NOT_IN_RUN
        return str(Verdict.NOT_REACHED)

    def _head(self) -> RunHead:
        start = self._start or RunStarted("", "", "", "", (), (), (), 0.0, "")
        end = self._end
        return RunHead(
            run_id=start.run_id,
            cluster=start.cluster,
            target=start.target,
            revision=start.revision,
            plan=start.plan,
            stage=start.stage,
            state=self._state(),
            exit_code=end.exit_code if end else None,
            started_at=self._started_at,
            ended_at=self._last_at,
            stand_ins=start.stand_ins,
            tool_versions=start.tool_versions,
            nodes=start.nodes,
            resume_command=(end.resume_command if end else "") or start.resume_command,
        )

    def _state(self) -> RunState:
        if self._start is None:
            return RunState.NOT_STARTED
        if self._end is None:
            return RunState.UNDER_WAY
        return RunState.INTERRUPTED if self._end.interrupted else RunState.FINISHED

    def _timing(self) -> Timing:
        end = self._end
        verified_s = end.verified_after_s if end else None
        if verified_s is not None:
            total_s, counted_from = verified_s, "the first action of this bootstrap"
        elif end is not None and not end.first_action_at:
            total_s, counted_from = 0.0, ""
        else:
            total_s, counted_from = self._last_s, "the start of this run"
        return Timing(
            budget_s=self._start.budget_s if self._start else 0.0,
            elapsed_s=self._last_s,
            first_action_at=end.first_action_at if end else "",
            ready_after_s=end.ready_after_s if end else None,
            verified_after_s=verified_s,
            total_s=total_s,
            counted_from=counted_from,
        )


@dataclass(slots=True)
class Gathered:
    """What the events have said about one criterion so far, bounded in size."""

    started_s: float | None = None
    waiting_since_s: float | None = None
    acted: bool = False
    ended: CriterionEnded | None = None
    actions: dict[str, ActionRecord] = field(default_factory=dict)
    waits: dict[str, WaitRecord] = field(default_factory=dict)
    waits_left_off: set[str] = field(default_factory=set)
    commands: dict[tuple[str, bool], CommandRecord] = field(default_factory=dict)
    commands_left_off: set[tuple[str, bool]] = field(default_factory=set)
    observations: deque[ObservationRecord] = field(
        default_factory=lambda: deque(maxlen=OBSERVATIONS_MAX)
    )
    observed: int = 0

    def hear(
        self,
        event: ActionBegun
        | ActionEnded
        | ActionSkipped
        | CommandStarted
        | CommandEnded
        | WaitStarted
        | Observed
        | WaitEnded,
        at_s: float,
    ) -> None:
        """Add an event that happened `at_s` seconds after the start of the run."""
        match event:
            case ActionBegun() | ActionEnded() | ActionSkipped():
                self._hear_action(event)
            case CommandStarted() | CommandEnded():
                self._hear_command(event)
            case WaitStarted(condition=name):
                if self.waiting_since_s is None:
                    self.waiting_since_s = at_s
                self.waits[name] = WaitRecord(name, event.budget_s, None, 0.0, 0, "")
            case Observed(condition=name):
                self.observed += 1
                self.observations.append(ObservationRecord(name, event.seen, event.elapsed_s))
                if name in self.waits:
                    self.waits[name] = replace(
                        self.waits[name], elapsed_s=event.elapsed_s, last=event.seen
                    )
            case WaitEnded(condition=name):
                budget_s = self.waits[name].budget_s if name in self.waits else 0.0
                self.waits[name] = WaitRecord(
                    name, budget_s, event.ok, event.elapsed_s, event.attempts, event.last
                )
                if len(self.waits) > WAITS_MAX:
                    _leave_off(self.waits, self.waits_left_off, lambda wait: wait.ok is True)

    def result(self, info: CriterionInfo, number: int, word: str, now_s: float) -> CriterionResult:
        """Return everything as frozen data; a criterion without an end is timed until `now_s`."""
        ended = self.ended
        # A criterion that was passed over did not begin, although the run announced its start.
        passed_over = ended is not None and ended.verdict in (
            Verdict.NOT_REACHED,
            Verdict.NOT_VERIFIABLE,
        )
        acting_s, waiting_s = (ended.acting_s, ended.waiting_s) if ended else self._spent(now_s)
        last = ended.last_observation if ended else ""
        if not last and self.observations:
            last = self.observations[-1].seen
        return CriterionResult(
            info=info,
            number=number,
            verdict=ended.verdict if ended else None,
            word=word,
            started_s=None if passed_over else self.started_s,
            acting_s=acting_s,
            waiting_s=waiting_s,
            last_observation=last,
            error=ended.error if ended else "",
            reason=ended.reason if ended else "",
            hints=ended.hints if ended else (),
            evidence=ended.evidence[-WAITS_MAX:] if ended else (),
            evidence_left_off=max(0, len(ended.evidence) - WAITS_MAX) if ended else 0,
            scenarios=ended.scenarios if ended else (),
            actions=tuple(self.actions.values()),
            waits=tuple(self.waits.values()),
            waits_left_off=len(self.waits_left_off - self.waits.keys()),
            observations=tuple(self.observations),
            observations_left_off=self.observed - len(self.observations),
            commands=tuple(self.commands.values()),
            commands_left_off=len(self.commands_left_off - self.commands.keys()),
        )

    def _spent(self, now_s: float) -> tuple[float, float]:
        """Return the seconds spent acting and waiting so far."""
        if self.started_s is None:
            return 0.0, 0.0
        if not self.acted:
            return 0.0, max(0.0, now_s - self.started_s)
        acted_until_s = now_s if self.waiting_since_s is None else self.waiting_since_s
        return max(0.0, acted_until_s - self.started_s), max(0.0, now_s - acted_until_s)

    def _hear_action(self, event: ActionBegun | ActionEnded | ActionSkipped) -> None:
        name = event.action
        match event:
            case ActionBegun():
                # A wait before the action was not for the action's effect.
                self.acted, self.waiting_since_s = True, None
                self.actions[name] = ActionRecord(name, event.reason, True, None, 0.0, "")
            case ActionSkipped():
                self.actions[name] = ActionRecord(name, "", False, True, 0.0, "")
            case ActionEnded():
                reason = self.actions[name].reason if name in self.actions else ""
                self.actions[name] = ActionRecord(
                    name, reason, True, event.ok, event.elapsed_s, event.detail
                )

    def _hear_command(self, event: CommandStarted | CommandEnded) -> None:
        key = (event.command, event.changes)
        before = self.commands.get(key, CommandRecord(*key, 0, True, None, 0.0, ()))
        if isinstance(event, CommandStarted):
            self.commands[key] = replace(before, times=before.times + 1, ended=False)
            return
        self.commands[key] = replace(
            before,
            # A damaged record may hold an end without its start.
            times=before.times + 1 if before.ended else before.times,
            ended=True,
            exit_code=event.exit_code,
            elapsed_s=before.elapsed_s + event.elapsed_s,
            tail=event.output_tail,
        )
        if len(self.commands) > COMMANDS_MAX:
            # Keep what changed something and what failed: that is what people look for.
            _leave_off(
                self.commands,
                self.commands_left_off,
                lambda one: one.ended and one.exit_code == 0 and not one.changes,
            )


def _leave_off(kept: dict[K, V], left_off: set[K], is_plain: Callable[[V], bool]) -> None:
    """Leave off the oldest unremarkable entry; it is kept again if it occurs again."""
    plain = next((key for key, value in kept.items() if is_plain(value)), None)
    if plain is not None:
        del kept[plain]
        left_off.add(plain)


def _counts(criteria: Iterable[CriterionResult]) -> dict[str, int]:
    seen = Counter(one.word for one in criteria)
    order = [*(str(verdict) for verdict in Verdict), UNDER_WAY, INTERRUPTED, NOT_BEGUN, NOT_IN_RUN]
    return {word: seen[word] for word in order if seen[word]}
