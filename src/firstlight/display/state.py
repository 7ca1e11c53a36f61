"""What the run is doing now, folded from its events."""

from __future__ import annotations

from dataclasses import dataclass, field

from firstlight.checklist import CriterionInfo, Stage
from firstlight.events import (
    ActionBegun,
    ActionEnded,
    CommandEnded,
    CommandOutput,
    CommandStarted,
    CriterionEnded,
    CriterionStarted,
    Event,
    Observed,
    RunStarted,
    Verdict,
    WaitEnded,
    WaitStarted,
)
from firstlight.formatting import budget_text, duration_text


@dataclass(slots=True)
class DisplayState:
    """What the run is doing now.

    Attributes named `*_s` are moments of the display's clock, so elapsed time keeps counting
    between events; budgets are in seconds.
    """

    run: RunStarted | None = None
    began_s: float = 0.0
    infos: dict[str, CriterionInfo] = field(default_factory=dict)
    ended: dict[str, Verdict] = field(default_factory=dict)
    current: CriterionInfo | None = None
    current_since_s: float = 0.0
    action: str = ""
    action_since_s: float = 0.0
    condition: str = ""
    wait_since_s: float = 0.0
    wait_budget_s: float = 0.0
    last_seen: str = ""
    command: str = ""
    line: str = ""

    def hear(self, event: Event, now_s: float) -> None:
        """Take in an event at a moment of the display's clock."""
        match event:
            case RunStarted():
                self.run, self.began_s = event, now_s
                self.infos = {info.id: info for info in event.criteria}
                self.ended.clear()
            case CriterionStarted():
                self.current, self.current_since_s = self.info(event.id), now_s
            case CriterionEnded():
                self.ended[event.id] = event.verdict
                self.current = None
                self._reset()
            case _:
                self._step(event, now_s)

    def info(self, criterion: str) -> CriterionInfo:
        """Return what is known of a criterion; only its ID if the run did not announce it."""
        return self.infos.get(criterion) or CriterionInfo(
            criterion, "", (), criterion, 0, Stage.UNLISTED, (), 0.0, ""
        )

    def doing(self, now_s: float) -> tuple[bool, str]:
        """Return whether the run waits (otherwise, it acts), and a line that describes it."""
        seen = f": last seen {self.last_seen}" if self.last_seen else ""
        if self.condition:
            budget = f" of {budget_text(self.wait_budget_s)}" if self.wait_budget_s else ""
            elapsed = f"{duration_text(now_s - self.wait_since_s)}{budget}"
            return True, f"waiting for {self.condition}{seen} ({elapsed})"
        if self.action:
            elapsed = duration_text(now_s - self.action_since_s)
            return False, f"{self.action}{seen} ({elapsed})"
        elapsed = duration_text(now_s - self.current_since_s)
        return True, f"checking: {self.current.title if self.current else 'nothing'} ({elapsed})"

    def place(self) -> str:
        """Return how far the run is: the stage, and how many criteria have ended."""
        done = f"{self.number(len(self.ended), ' of ')} criteria"
        return done if self.current is None else f"{self.current.stage} · {done}"

    def number(self, count: int, of: str) -> str:
        """Return a count with the total; without it if only part of the checklist runs."""
        whole = self.run is None or not self.run.stage
        return f"{count}{of}{len(self.infos)}" if whole else str(count)

    def _step(self, event: Event, now_s: float) -> None:
        match event:
            case ActionBegun():
                self.action, self.action_since_s, self.last_seen = event.action, now_s, ""
            case ActionEnded():
                self.action = self.last_seen = ""
            case WaitStarted():
                self.condition, self.wait_since_s = event.condition, now_s
                self.wait_budget_s, self.last_seen = event.budget_s, ""
            case Observed():
                self.last_seen = event.seen
            case WaitEnded():
                self.condition = ""
            case CommandStarted():
                self.command, self.line = event.command, ""
            case CommandOutput():
                self.line = event.line
            case CommandEnded() if event.command == self.command:
                # Commands may run concurrently; the one that started last is shown.
                self.command, self.line = "", ""
            case _:
                pass

    def _reset(self) -> None:
        self.action = self.condition = self.last_seen = self.command = self.line = ""
