"""A pytest plugin that terminates its own run at a named moment.

For example, just before or just after a line of the journal is on disk. The run's command line is
unchanged: the plugin is loaded by PYTEST_PLUGINS and configured by FIRSTLIGHT_CHAOS. SIGKILL cannot
be handled, so this equals a kill from outside at that very instant. Instants that are times rather
than moments are handled from outside; then the plugin only reports when each criterion begins.
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
from fixtures.items import describe
from fixtures.stash import RUN
from tests.chaos.terminations import Termination, terminate

VARIABLE = "FIRSTLIGHT_CHAOS"
PROGRESS = "FIRSTLIGHT_CHAOS_PROGRESS"
PLUGIN = {"PYTEST_PLUGINS": "tests.chaos.moments"}


class Moment(StrEnum):
    """When a run is terminated, relative to the journal."""

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
        action: The beginning of its title; the first matching action counts.
        moment: The moment.
        termination: How the run is terminated.
        later_s: For moments that last (`DURING`, `WAITING`): the time after their start.
    """

    action: str
    moment: Moment
    termination: Termination
    later_s: float = 0.0

    def environment(self) -> dict[str, str]:
        """Return the environment variables that terminate a run at this instant."""
        return {**PLUGIN, VARIABLE: json.dumps(asdict(self))}

    def __str__(self) -> str:
        return f"{self.moment} ({self.action}), {self.termination}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Subscribe before and after the journal, which the run has opened by now."""
    run = item.config.stash.get(RUN, None)
    info = describe(item)
    if run is not None and info is not None:
        _report(f"{info.stage} {info.id}")
    wanted = os.environ.pop(VARIABLE, "")
    if run is None or not wanted:
        return
    settings = json.loads(wanted)
    instant = Instant(
        settings["action"],
        Moment(settings["moment"]),
        Termination(settings["termination"]),
        settings["later_s"],
    )
    terminator = _Terminator(instant, str(run.target.state))
    # The journal subscribed first, so this subscriber sees an event before it is on disk.
    run.bus.add_first(terminator.before)
    run.bus.add(terminator.after)


def _report(what: str) -> None:
    if path := os.environ.get(PROGRESS, ""):
        with Path(path).open("a") as stream:
            stream.write(f"{time.time():.3f} {what}\n")


class _Terminator:
    """Waits for one instant."""

    def __init__(self, instant: Instant, mark: str) -> None:
        self._instant = instant
        self._mark = mark
        self._acting = False
        self._acted_in = ""
        # Commands only print the machine configs; we write the files ourselves.
        self._changes_by_commands = not instant.action.startswith("generate the machine configs")

    def before(self, stamped: Stamped) -> None:
        event, moment = stamped.event, self._instant.moment
        if (
            isinstance(event, ActionBegun)
            and self._is_it(event.action)
            and moment is Moment.BEFORE_BEGUN
        ):
            self._terminate()
        if (
            isinstance(event, ActionEnded)
            and self._is_it(event.action)
            and moment in (Moment.BEFORE_ENDED, Moment.DURING)
        ):
            # The action was faster than the timer: terminate at its end.
            self._terminate()

    def after(self, stamped: Stamped) -> None:
        event, moment = stamped.event, self._instant.moment
        match event:
            case ActionBegun() if self._is_it(event.action):
                self._acting, self._acted_in = True, event.criterion
                if moment is Moment.AFTER_BEGUN:
                    self._terminate()
            case ActionEnded() if self._is_it(event.action):
                self._acting = False
                if moment is Moment.AFTER_ENDED:
                    self._terminate()
            case ActionSkipped() if self._is_it(event.action):
                # An earlier run completed the action before its signal, so this run ends here and
                # does not count.
                _report("skipped")
                self._terminate()
            case CommandStarted() if (
                self._acting
                and moment is Moment.DURING
                and (event.changes or not self._changes_by_commands)
            ):
                self._terminate_later()
            case WaitStarted() | WaitEnded() if (
                event.criterion == self._acted_in and moment is Moment.WAITING and not self._acting
            ):
                # A wait that is over at once: terminate at its end.
                self._terminate_later() if isinstance(event, WaitStarted) else self._terminate()

    def _is_it(self, action: str) -> bool:
        return action.startswith(self._instant.action)

    def _terminate_later(self) -> None:
        threading.Timer(self._instant.later_s, self._terminate).start()

    def _terminate(self) -> None:
        # This may repeat while the run is ending, like a second Ctrl+C.
        _report("interrupted")
        terminate(os.getpid(), self._instant.termination, self._mark)
