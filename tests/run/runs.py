"""A run of one criterion on a fake clock, whose target never opens."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from firstlight.actions import Action
from firstlight.checklist import Capability, CriterionInfo, Stage
from firstlight.conditions import Condition, Observation, holds, not_yet
from firstlight.errors import FirstlightError
from firstlight.events import CriterionStarted, Event, Stamped
from firstlight.failures import FailureClass
from firstlight.run import Run, Settings
from tests.clocks import FakeClock
from tests.definitions import CHECKOUT, infra

E = TypeVar("E")

LAMP = "there-is-a-lamp"
BUDGET_S = 30.0


class Busy(FirstlightError):
    """A temporary failure."""

    failure_class = FailureClass.RETRY


def criterion(
    name: str = LAMP,
    stage: Stage = Stage.TALOS,
    needs: tuple[Capability, ...] = (),
    budget_s: float = BUDGET_S,
) -> CriterionInfo:
    return CriterionInfo(name, "", (), name.replace("-", " "), 1, stage, (), budget_s, "", needs)


@dataclass
class FakeRun:
    """A run, its clock and the events that it emitted since its criterion started."""

    clock: FakeClock
    run: Run
    events: list[Event] = field(default_factory=list)

    def hear(self, stamped: Stamped) -> None:
        self.events.append(stamped.event)

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    def start(self, info: CriterionInfo) -> None:
        """Start a criterion."""
        self.run.criteria[info.id] = info
        self.run.bus.emit(CriterionStarted(info.id))
        self.events.clear()


def started(
    *,
    plan: bool = False,
    budget_factor: float = 1.0,
    info: CriterionInfo | None = None,
    clock: FakeClock | None = None,
) -> FakeRun:
    """Return a run in which a criterion has started."""
    clock = clock or FakeClock()
    settings = Settings("simulated", Path("/nonexistent"), plan=plan, budget_factor=budget_factor)
    fake = FakeRun(clock, Run(settings, infra(), CHECKOUT, clock, print))
    fake.run.bus.add(fake.hear)
    fake.start(info or criterion())
    return fake


@dataclass
class Lamp:
    """A lamp that an action makes.

    Attributes:
        failures: What the next attempts to make it raise, in order.
        dark: What the next checks of it raise, in order.
        made: Whether it exists.
        attempts: How often an action tried to make it.
    """

    failures: list[BaseException] = field(default_factory=list)
    dark: list[FirstlightError] = field(default_factory=list)
    made: bool = False
    attempts: int = 0

    @property
    def action(self) -> Action:
        return Action("make the lamp", self._need, self._act, lambda: ("touch lamp",))

    @property
    def exists(self) -> Condition[str]:
        return Condition("the lamp to exist", self._probe)

    def _need(self) -> str | None:
        if self.dark:
            raise self.dark.pop(0)
        return None if self.made else "the lamp is missing"

    def _act(self) -> str:
        self.attempts += 1
        if self.failures:
            raise self.failures.pop(0)
        self.made = True
        return "of glass"

    def _probe(self) -> Observation[str]:
        return holds("the lamp exists", "lamp") if self.made else not_yet("no lamp exists")
