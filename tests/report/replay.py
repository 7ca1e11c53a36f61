"""A pytest plugin that plays a stream of events in a real pytest run.

Each criterion is a test that ends as in the stream.
"""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from firstlight.events import (
    Bus,
    CriterionEnded,
    CriterionStarted,
    Event,
    RunEnded,
    RunStarted,
    Stamped,
    Verdict,
)
from fixtures.stash import BUS, REPORT_DIR
from tests.report import streams

if TYPE_CHECKING:
    from pathlib import Path

_PAUSE_MAX_S = 3.0


class ReplayClock:
    """A clock that follows the stream, in real time if a person wants to watch."""

    def __init__(self, pace: float) -> None:
        self.pace = pace
        self.at = streams.START
        self.seconds = 0.0

    def now(self) -> datetime:
        """Return the current moment of the stream."""
        return self.at

    def monotonic(self) -> float:
        """Return the current second of the stream."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Move the clock forward."""
        self.seconds += seconds

    def move(self, stamped: Stamped) -> None:
        """Move to the moment of an event, in real time if a pace is given."""
        gap_s = stamped.since_start_s - self.seconds
        if self.pace and gap_s > 0:
            # For a person who watches the display; tests never give a pace.
            signal.sigtimedwait((), min(_PAUSE_MAX_S, gap_s / self.pace))
        self.seconds = max(self.seconds, stamped.since_start_s)
        self.at = datetime.fromisoformat(stamped.at)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options for the stream and its pace."""
    parser.addoption("--replay", default="good")
    parser.addoption("--pace", type=float, default=0.0)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Provide bus and report folder as the run's own plugin does."""
    clock = ReplayClock(config.getoption("--pace"))
    config.stash[BUS] = Bus(clock)
    config.stash[REPORT_DIR] = config.rootpath / "reports" / "infra-simulated"
    config.pluginmanager.register(
        Player(getattr(streams, config.getoption("--replay"))(), config.stash[BUS], clock), "player"
    )


class Player:
    """Emits each event at the point of the session where the run's own plugin does."""

    def __init__(self, stream: list[Stamped], bus: Bus, clock: ReplayClock) -> None:
        self.bus = bus
        self.clock = clock
        self.heads: list[Stamped] = []
        self.ends: list[Stamped] = []
        self.of: dict[str, list[Stamped]] = defaultdict(list)
        self.nodeids: dict[str, str] = {}
        self.stage = ""
        self.began = False
        for stamped in stream:
            self._sort(stamped)

    def _sort(self, stamped: Stamped) -> None:
        match stamped.event:
            case RunStarted() as start:
                self.heads.append(stamped)
                self.stage = start.stage
                self.nodeids = {one.nodeid: one.id for one in start.criteria}
            case RunEnded():
                self.ends.append(stamped)
            case CriterionStarted(id=key) | CriterionEnded(id=key):
                self.of[key].append(stamped)
            case event:
                self.of[event.criterion].append(stamped)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep only the tests of the stream's criteria."""
        chosen = {
            nodeid for nodeid, key in self.nodeids.items() if not self.stage or key in self.of
        }
        items[:] = [item for item in items if item.nodeid in chosen]

    def emit(self, stamped: list[Stamped]) -> None:
        """Emit events at their moments."""
        for one in stamped:
            self.clock.move(one)
            self.bus.emit(one.event)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Begin the run, unless collection failed; events outside any criterion come first."""
        self.began = not session.testsfailed
        if self.began:
            self.emit(self.heads + self.of.pop("", []))

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Play a criterion and end its setup accordingly."""
        stream = self.of[self.nodeids[item.nodeid]]
        events: list[Event] = [one.event for one in stream]
        verdict = events[-1].verdict if events and isinstance(events[-1], CriterionEnded) else None
        self.emit(stream)
        if verdict is None and self.ends:
            raise KeyboardInterrupt
        if verdict is None:
            os.kill(os.getpid(), signal.SIGKILL)
        if verdict is Verdict.ACTION_FAILED:
            pytest.fail(f"ACTION {events[-1].error}", pytrace=False)  # type: ignore[union-attr]
        if verdict in (
            Verdict.NOT_REACHED,
            Verdict.NOT_VERIFIABLE,
            Verdict.WILL_ACT,
            Verdict.BLOCKED,
        ):
            pytest.skip(str(verdict))

    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Fail in the call phase if the condition was not met."""
        last = self.of[self.nodeids[item.nodeid]][-1].event
        if isinstance(last, CriterionEnded) and last.verdict is Verdict.NOT_READY:
            pytest.fail(f"WAITED {last.error}", pytrace=False)

    def pytest_sessionfinish(self) -> None:
        """End the run."""
        if self.began:
            self.emit(self.ends)


def write_suite(root: Path) -> None:
    """Write the streams' checklist as a real test suite with a conftest that loads the plugins."""
    plugins = ("tests.report.replay", "fixtures.report", "fixtures.display")
    (root / "conftest.py").write_text(f"pytest_plugins = {plugins!r}\n", encoding="utf-8")
    (root / "pytest.ini").write_text("[pytest]\ngenerate_report_on_test = true\n", encoding="utf-8")
    folder = root / "bootstrap_tests"
    folder.mkdir()
    files: dict[str, list[str]] = defaultdict(list)
    # The hostile stream's own criterion has a title that is hostile, but an id like any other.
    for one in (*streams.CRITERIA, *streams.hostile()[0].event.criteria):  # type: ignore[union-attr]
        path, _, test = one.nodeid.partition("::")
        files[path].append(f"def {test}():\n    pass\n")
    for path, tests in files.items():
        (root / path).write_text("\n\n".join(tests), encoding="utf-8")
