"""What is going on right now, folded from the events: the display draws it, live or as lines."""

from __future__ import annotations

from dataclasses import dataclass, field

from firstlight.events import (
    ActionBegun,
    ActionEnded,
    CommandEnded,
    CommandOutput,
    CommandStarted,
    CriterionEnded,
    CriterionInfo,
    CriterionStarted,
    Event,
    Observed,
    RunStarted,
    Verdict,
    WaitEnded,
    WaitStarted,
)
from firstlight.span import budget_text, span_text


@dataclass(slots=True)
class Scene:
    """The present moment of a run.

    `since_s` values are of the clock that the display is given, so that elapsed time runs on between events.
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
        """Take in one event at a moment of the display's clock."""
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
                self._calm()
            case _:
                self._step(event, now_s)

    def info(self, criterion: str) -> CriterionInfo:
        """Return what is known of a criterion, its bare id if nothing is."""
        return self.infos.get(criterion) or CriterionInfo(
            criterion, "", (), criterion, 0, "", (), 0.0, ""
        )

    def doing(self, now_s: float) -> tuple[bool, str]:
        """Return whether it waits (else it acts), and what for, with what was last seen and for how long."""
        seen = f": last seen {self.last_seen}" if self.last_seen else ""
        if self.condition:
            budget = f" of {budget_text(self.wait_budget_s)}" if self.wait_budget_s else ""
            return (
                True,
                f"waiting for {self.condition}{seen} ({span_text(now_s - self.wait_since_s)}{budget})",
            )
        if self.action:
            return False, f"{self.action}{seen} ({span_text(now_s - self.action_since_s)})"
        spent = span_text(now_s - self.current_since_s)
        return True, f"looking at {self.current.title if self.current else 'nothing'} ({spent})"

    def place(self) -> str:
        """Return where in the checklist the run is: stage, number and total."""
        done = f"{self.number(len(self.ended), ' of ')} criteria"
        return f"{self.current.stage} · {done}" if self.current and self.current.stage else done

    def number(self, count: int, of: str) -> str:
        """Return a count of criteria out of all, or alone when only a part of the checklist is run."""
        return (
            f"{count}{of}{len(self.infos)}"
            if self.run is None or not self.run.stage
            else str(count)
        )

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
                # Others may run meanwhile; of them the one that began last is shown.
                self.command, self.line = "", ""
            case _:
                pass

    def _calm(self) -> None:
        self.action = self.condition = self.last_seen = self.command = self.line = ""
