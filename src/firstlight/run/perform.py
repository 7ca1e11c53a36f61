"""`perform`: performs an action only if it is needed, with "begun" on disk first."""

from __future__ import annotations

from typing import TypeVar

from firstlight.actions import Action
from firstlight.conditions import Condition, Observation, holds
from firstlight.errors import FirstlightError
from firstlight.events import ActionBegun, ActionEnded, ActionSkipped, Observed
from firstlight.run.engine import Run
from firstlight.run.retry import CHECK_S, ETCD_BOOTSTRAP_S, Attempts, is_retried, wait_for
from firstlight.run.wait import Check, reported_wait

T = TypeVar("T")


class Performer:
    """Perform actions: check, act only if needed.

    Attributes:
        performed: Every action that the run asked for, in order, whether it was needed or not.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.performed: list[Action] = []

    def __call__(self, action: Action) -> None:
        """Perform an action if it is needed.

        Raises:
            ActionFailed: It could not be performed.
            FirstlightError: The cluster cannot be checked, or refuses.
        """
        if action not in self.performed:
            self.performed.append(action)
        self.perform(action)

    def perform(self, action: Action) -> None:
        """Check and act, and do both again while failures pass by themselves."""
        run = self.run
        attempts = Attempts(run.clock, run.settings.budget_factor)
        while True:
            reason = self.need(action)
            if reason is None:
                if attempts.number == 1:
                    run.bus.emit(ActionSkipped(run.current, action.title))
                return
            try:
                self._act(action, reason)
            except FirstlightError as error:
                if not attempts.again(error):
                    raise
            else:
                return

    def need(self, action: Action) -> str | None:
        """Return why an action is needed, or None; retry while the API is flapping.

        Raises:
            NotReady: The cluster could not be checked for too long.
            FirstlightError: It cannot be checked, for a reason that does not pass.
        """
        try:
            return action.need()
        except FirstlightError as error:
            if not is_retried(error):
                raise
            return self._need_when_reachable(action, error)

    def _need_when_reachable(self, action: Action, error: FirstlightError) -> str | None:
        def probe() -> Observation[tuple[str | None]]:
            reason = action.need()
            return holds(reason or "not needed", (reason,))

        run = self.run
        first: Check[tuple[str | None]] = Check(error)
        condition = Condition(f"a check whether to {action.title}", first.then(probe))
        longest_s = max(CHECK_S * run.settings.budget_factor, run.info.budget_s)
        (reason,) = reported_wait(run, condition, longest_s, verifies=False)
        return reason

    def until_accepted(self, condition: Condition[T]) -> T:
        """Wait within an action until a machine accepts a call, and report each refusal.

        Raises:
            NotReady: It did not accept within the time that Talos's own client allows.
            FirstlightError: It refuses for good.
        """
        run = self.run
        title = self.performed[-1].title

        def observe(seen: str, elapsed_s: float) -> None:
            run.bus.emit(Observed(run.current, title, run.mask(seen), elapsed_s))

        budget_s = ETCD_BOOTSTRAP_S * run.settings.budget_factor
        return wait_for(condition, budget_s=budget_s, clock=run.clock, observer=observe)[0]

    def _act(self, action: Action, reason: str) -> None:
        run = self.run
        run.bus.emit(ActionBegun(run.current, action.title, run.mask(reason)))
        started = run.clock.monotonic()
        try:
            detail = action.act() or ""
        except BaseException as error:
            why = error.summary if isinstance(error, FirstlightError) else type(error).__name__
            self._acted(action, started, ok=False, detail=why)
            raise
        self._acted(action, started, ok=True, detail=detail)

    def _acted(self, action: Action, started: float, *, ok: bool, detail: str) -> None:
        run = self.run
        elapsed_s = run.clock.monotonic() - started
        run.bus.emit(
            ActionEnded(
                run.current, action.title, ok=ok, elapsed_s=elapsed_s, detail=run.mask(detail)
            )
        )
