"""A pytest plugin that ends its own run at a named moment: before a line of the journal is on the disk, after it, in between.

The command line of the run stays what it is: the plugin comes by PYTEST_PLUGINS, what it does by FIRSTLIGHT_CHAOS. SIGKILL leaves no
time for a last word, so what happens here is what happens to a run that somebody else kills at that very instant. For instants
that are times, not moments, somebody else does: the plugin only tells when each criterion begins.
"""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from firstlight.events import (
    ActionBegun,
    ActionEnded,
    ActionSkipped,
    CommandStarted,
    Stamped,
    WaitEnded,
    WaitStarted,
)
from fixtures.criterion import describe
from fixtures.keys import RUN
from tests.chaos.blows import Blow, strike

VARIABLE = "FIRSTLIGHT_CHAOS"
TELL = "FIRSTLIGHT_CHAOS_TELL"
PLUGIN = {"PYTEST_PLUGINS": "tests.chaos.moments"}


class Moment(StrEnum):
    """When a run is ended, as seen from the journal."""

    BEFORE_BEGUN = "before begun"
    AFTER_BEGUN = "after begun"
    DURING = "during the action"
    BEFORE_ENDED = "after the action"
    AFTER_ENDED = "after ended"
    WAITING = "during the wait"


@dataclass(frozen=True)
class Instant:
    """One moment of one action.

    Attributes:
        action: How its title begins; the first action with such a title counts.
        moment: When.
        blow: How the run is ended.
        later_s: For moments that last (`DURING`, `WAITING`): how long after their start.
    """

    action: str
    moment: Moment
    blow: Blow
    later_s: float = 0.0

    def environment(self) -> dict[str, str]:
        """Return what a run needs in its environment to be ended at this instant."""
        return {**PLUGIN, VARIABLE: json.dumps(asdict(self))}

    def __str__(self) -> str:
        return f"{self.moment} ({self.action}), {self.blow}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Listen to the run before and after its journal does, once the first criterion has opened it."""
    run = item.config.stash.get(RUN, None)
    info = describe(item)
    if run is not None and info is not None:
        _tell(f"{info.stage} {info.id}")
    wanted = os.environ.pop(VARIABLE, "")
    if run is None or not wanted:
        return
    told = json.loads(wanted)
    instant = Instant(told["action"], Moment(told["moment"]), Blow(told["blow"]), told["later_s"])
    striker = _Striker(instant, str(run.target.state))
    # The first of all is the journal, so this one hears of an event before it is on the disk.
    run.bus.add_first(striker.before)
    run.bus.add(striker.after)


def _tell(what: str) -> None:
    if path := os.environ.get(TELL, ""):
        with Path(path).open("a") as stream:
            stream.write(f"{time.time():.3f} {what}\n")


class _Striker:
    """Waits for one instant."""

    def __init__(self, instant: Instant, mark: str) -> None:
        self._instant = instant
        self._mark = mark
        self._acting = False
        self._acted_in = ""
        # Machine configs are made by commands that only print; what changes the world is what we write.
        self._changes_by_commands = not instant.action.startswith("generate the machine configs")

    def before(self, stamped: Stamped) -> None:
        event, moment = stamped.event, self._instant.moment
        if (
            isinstance(event, ActionBegun)
            and self._is_it(event.action)
            and moment is Moment.BEFORE_BEGUN
        ):
            self._strike()
        if (
            isinstance(event, ActionEnded)
            and self._is_it(event.action)
            and moment in (Moment.BEFORE_ENDED, Moment.DURING)
        ):
            # An action that was quicker than the blow is struck at its end.
            self._strike()

    def after(self, stamped: Stamped) -> None:
        event, moment = stamped.event, self._instant.moment
        match event:
            case ActionBegun() if self._is_it(event.action):
                self._acting, self._acted_in = True, event.criterion
                if moment is Moment.AFTER_BEGUN:
                    self._strike()
            case ActionEnded() if self._is_it(event.action):
                self._acting = False
                if moment is Moment.AFTER_ENDED:
                    self._strike()
            case ActionSkipped() if self._is_it(event.action):
                # A run before was quicker than its blow and all is done: this one has nothing to be ended in. It is ended here, and does not count.
                _tell("skipped")
                self._strike()
            case CommandStarted() if (
                self._acting
                and moment is Moment.DURING
                and (event.changes or not self._changes_by_commands)
            ):
                self._strike_later()
            case WaitStarted() | WaitEnded() if (
                event.criterion == self._acted_in and moment is Moment.WAITING and not self._acting
            ):
                # A wait that is over at once is struck at its end.
                self._strike_later() if isinstance(event, WaitStarted) else self._strike()

    def _is_it(self, action: str) -> bool:
        return action.startswith(self._instant.action)

    def _strike_later(self) -> None:
        threading.Timer(self._instant.later_s, self._strike).start()

    def _strike(self) -> None:
        # It may come again while the run is being ended: who presses Ctrl+C presses it again.
        _tell("struck")
        strike(os.getpid(), self._instant.blow, self._mark)
