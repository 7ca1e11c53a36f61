"""Gather what the events say of one criterion, bounded, until a report is asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from firstlight.events import (
    ActionBegun,
    ActionEnded,
    ActionSkipped,
    CommandEnded,
    CommandStarted,
    CriterionEnded,
    CriterionInfo,
    Observed,
    Verdict,
    WaitEnded,
    WaitStarted,
)
from firstlight.report.model import (
    ActionRecord,
    CommandRecord,
    CriterionResult,
    ObservationRecord,
    WaitRecord,
)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

OBSERVATIONS_MAX = 60
"""A flapping probe must not make the page unreadable: the newest are kept, the others counted."""

COMMANDS_MAX = 60
"""Different command lines per criterion; on six machines the longest criterion of the checklist needs about twenty."""

WAITS_MAX = 30
"""Conditions per criterion, and facts: of hundreds of machines that are well, the newest say enough."""

Told = (
    ActionBegun
    | ActionEnded
    | ActionSkipped
    | CommandStarted
    | CommandEnded
    | WaitStarted
    | Observed
    | WaitEnded
)


@dataclass(slots=True)
class Gathered:
    """Everything that was told of one criterion so far; `hear` adds to it."""

    started_s: float | None = None
    last_s: float = 0.0
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

    def hear(self, told: Told, at_s: float) -> None:
        """Add one event, heard `at_s` seconds after the run's start."""
        self.last_s = max(self.last_s, at_s)
        match told:
            case ActionBegun() | ActionEnded() | ActionSkipped():
                self._hear_action(told)
            case CommandStarted() | CommandEnded():
                self._hear_command(told)
            case WaitStarted():
                self.waiting_since_s = (
                    at_s if self.waiting_since_s is None else self.waiting_since_s
                )
                self.waits[told.condition] = WaitRecord(
                    told.condition, told.budget_s, None, 0.0, 0, ""
                )
            case Observed():
                self.observed += 1
                self.observations.append(
                    ObservationRecord(told.condition, told.seen, told.elapsed_s)
                )
                if told.condition in self.waits:
                    wait = self.waits[told.condition]
                    self.waits[told.condition] = replace(
                        wait, elapsed_s=told.elapsed_s, last=told.seen
                    )
            case WaitEnded():
                budget_s = (
                    self.waits[told.condition].budget_s if told.condition in self.waits else 0.0
                )
                self.waits[told.condition] = WaitRecord(
                    told.condition, budget_s, told.ok, told.elapsed_s, told.attempts, told.last
                )
                if len(self.waits) > WAITS_MAX:
                    _leave_off(self.waits, self.waits_left_off, lambda wait: wait.ok is True)

    def result(self, info: CriterionInfo, number: int, word: str, now_s: float) -> CriterionResult:
        """Return all of it as frozen data; a criterion without an end is timed until `now_s`."""
        ended = self.ended
        # A criterion that was left at the door did not begin, though the run came by.
        left = ended is not None and ended.verdict in (Verdict.NOT_REACHED, Verdict.NOT_VERIFIABLE)
        acting_s, waiting_s = (ended.acting_s, ended.waiting_s) if ended else self._spent(now_s)
        last = ended.last_observation if ended else ""
        if not last and self.observations:
            last = self.observations[-1].seen
        return CriterionResult(
            info=info,
            number=number,
            verdict=ended.verdict if ended else None,
            word=word,
            started_s=None if left else self.started_s,
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
        if self.started_s is None:
            return 0.0, 0.0
        if not self.acted:
            return 0.0, max(0.0, now_s - self.started_s)
        if self.waiting_since_s is None:
            return max(0.0, now_s - self.started_s), 0.0
        return max(0.0, self.waiting_since_s - self.started_s), max(
            0.0, now_s - self.waiting_since_s
        )

    def _hear_action(self, told: ActionBegun | ActionEnded | ActionSkipped) -> None:
        name = told.action
        match told:
            case ActionBegun():
                # Whatever was waited for before was not for what it brings about.
                self.acted, self.waiting_since_s = True, None
                self.actions[name] = ActionRecord(name, told.reason, True, None, 0.0, "")
            case ActionSkipped():
                self.actions[name] = ActionRecord(name, "", False, True, 0.0, "")
            case ActionEnded():
                reason = self.actions[name].reason if name in self.actions else ""
                self.actions[name] = ActionRecord(
                    name, reason, True, told.ok, told.elapsed_s, told.detail
                )

    def _hear_command(self, told: CommandStarted | CommandEnded) -> None:
        key = (told.command, told.changes)
        before = self.commands.get(
            key, CommandRecord(told.command, told.changes, 0, True, None, 0.0, ())
        )
        if isinstance(told, CommandStarted):
            self.commands[key] = replace(before, times=before.times + 1, ended=False)
            return
        # A journal that was cut may hold an end without its start.
        self.commands[key] = replace(
            before,
            times=before.times if not before.ended else before.times + 1,
            ended=True,
            exit_code=told.exit_code,
            elapsed_s=before.elapsed_s + told.elapsed_s,
            tail=told.output_tail,
        )
        if len(self.commands) > COMMANDS_MAX:
            # What changed something, and what went wrong, is what people look for.
            _leave_off(
                self.commands,
                self.commands_left_off,
                lambda one: one.ended and one.exit_code == 0 and not one.changes,
            )


def _leave_off(kept: dict[K, V], left_off: set[K], is_plain: Callable[[V], bool]) -> None:
    """Leave off the oldest entry that says nothing of its own; one that comes again is kept again."""
    plain = next((key for key, value in kept.items() if is_plain(value)), None)
    if plain is not None:
        del kept[plain]
        left_off.add(plain)
