"""`--plan`: checks everything, says what a run would do, and changes nothing."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeVar

from firstlight.actions import Action
from firstlight.checklist import Capability, CriterionInfo, Stage
from firstlight.conditions import Condition
from firstlight.errors import ActionFailed, Blocked, FirstlightError
from firstlight.events import (
    ActionPlanned,
    ActionSkipped,
    CriterionEnded,
    CriterionFailed,
    Observed,
    Stamped,
    Verdict,
    WaitEnded,
)
from firstlight.run.engine import Run
from firstlight.run.perform import Performer
from firstlight.run.verdicts import hints_for
from firstlight.run.wait import Waiter

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

CHANGES_AHEAD: Final = 20
"""The exit code of a plan for which a run would act; pytest's own codes end at five."""


@dataclass(slots=True)
class Plan:
    """What a plan found so far, as a fold over its events.

    Attributes:
        run: The run that plans.
        actions: What a run would do, in order.
        wrong: What does not hold although nothing planned precedes it: a run would stop there.
    """

    run: Run
    actions: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _shown: str = ""

    def __post_init__(self) -> None:
        """Hear every event of the run."""
        self.run.bus.add(self.hear)

    def hear(self, stamped: Stamped) -> None:
        """Add one event."""
        event = stamped.event
        if isinstance(event, ActionPlanned):
            self.actions.append(event.action)
        elif isinstance(event, CriterionEnded) and event.verdict is Verdict.BLOCKED and event.error:
            self.wrong.append(self.run.criteria[event.id].title)

    @property
    def exit_code(self) -> int:
        """The exit code of a plan in which nothing is wrong."""
        return CHANGES_AHEAD if self.actions else 0

    @property
    def blocker(self) -> str:
        """What has to be fixed before a run could act, empty if nothing."""
        return self.wrong[0] if self.wrong else ""

    def awaited(self, info: CriterionInfo) -> str:
        """Return what precedes a criterion and may make it true; empty if it is wrong by itself.

        Preflight checks what must exist beforehand. The one thing that it creates is the
        talosconfig, without which no machine can be asked.
        """
        asks_machines = Capability.TALOS_API in info.needs
        if info.stage is Stage.PREFLIGHT and not (asks_machines and self.actions):
            return ""
        if self.actions:
            more = len(self.actions) - 1
            others = f", and {more} more action{'s' if more > 1 else ''}" if more else ""
            return self.actions[0] + others
        return self.blocker

    def block(self, error: BaseException, text: str) -> bool:
        """Record that the running criterion does not hold; return whether it is wrong by itself.

        Otherwise it only waits for what precedes it, and the plan goes on.

        Args:
            error: What was raised.
            text: The error as people read it, masked.
        """
        run = self.run
        record = run.record.current
        awaited = "" if isinstance(error, ActionFailed) else self.awaited(run.info)
        first = text.partition("\n")[0]
        if awaited:
            summary = error.summary if isinstance(error, FirstlightError) else first
            now = self._now(record.last or run.mask(summary.strip()))
            run.bus.emit(CriterionFailed(record.id, Verdict.BLOCKED, "", f"by: {awaited}{now}"))
            return False
        hints = run.filled(hints_for(record, error, text))
        run.bus.emit(CriterionFailed(record.id, Verdict.BLOCKED, text, f"by: {first}", hints))
        return True

    def will(self, action: str, description: str) -> NoReturn:
        """Leave the running criterion, because a run would act.

        Raises:
            LeaveCriterion: Always.
        """
        self.run.bus.emit(ActionPlanned(self.run.current, action))
        self.run.leave(Verdict.WILL_ACT, description)

    def _now(self, seen: str) -> str:
        """Return a line with what is seen now, empty if the previous criterion saw the same."""
        if seen == self._shown:
            return ""
        self._shown = seen
        return f"\nnow: {seen}"


class PlannedPerformer(Performer):
    """Say what would be performed, and leave the criterion."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.run)
        self._plan = plan

    def perform(self, action: Action) -> None:
        """Leave the criterion if the action is needed.

        What cannot be checked yet is performed after what is planned before it.

        Raises:
            LeaveCriterion: It is needed; the reason holds the commands.
            FirstlightError: It refuses, or cannot be checked and nothing planned precedes it.
        """
        run, plan = self.run, self._plan
        try:
            reason = action.need()
            commands = action.commands() if reason is not None else ()
        except ActionFailed:
            # It refuses: nothing that is planned would change that.
            raise
        except FirstlightError as error:
            if not plan.awaited(run.info):
                raise
            reason, commands = f"it cannot be checked yet: {error.summary}", action.commands()
        if reason is None:
            run.bus.emit(ActionSkipped(run.current, action.title))
            return
        lines = [f"{action.title}, because {reason}", *(f"$ {command}" for command in commands)]
        if plan.blocker:
            lines.append(f"once this holds: {plan.blocker}")
        plan.will(action.title, "\n".join(lines))

    def need(self, action: Action) -> str | None:
        """Return why an action is needed now, or None; a plan never retries."""
        return action.need()


class PlannedWaiter(Waiter):
    """Check conditions once instead of waiting for them."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.run)
        self._plan = plan

    def each(self, conditions: Mapping[K, Condition[T]]) -> dict[K, T]:
        """Check every condition once and return their values.

        Raises:
            Blocked: One does not hold.
            LeaveCriterion: Checking one would create test workloads; then none is checked.
            FirstlightError: One cannot be checked.
        """
        for condition in conditions.values():
            self._leave_unless_passive(condition)
        return super().each(conditions)

    def wait(self, condition: Condition[T], budget_s: float) -> T:
        """Check a condition once and return its value.

        Raises:
            Blocked: It does not hold.
            LeaveCriterion: Checking it would create test workloads.
            FirstlightError: It cannot be checked.
        """
        del budget_s
        run = self.run
        self._leave_unless_passive(condition)
        observation = condition.probe()
        seen = run.mask(observation.seen)
        run.bus.emit(Observed(run.current, condition.title, seen, 0.0))
        if observation.holds and observation.value is not None:
            run.bus.emit(WaitEnded(run.current, condition.title, True, 0.0, seen, 1))
            return observation.value
        raise Blocked(
            f"cannot confirm {condition.title}: not so now\n  last seen {observation.seen}",
            rows=condition.rows(observation),
        )

    def _leave_unless_passive(self, condition: Condition[T]) -> None:
        if not condition.passive:
            action = f"wait for {condition.title}"
            self._plan.will(action, f"{action}, which creates test workloads and removes them")
