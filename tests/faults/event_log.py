"""A plugin for the runs under test: write every event to a file.

So a test knows when to repair what it broke. On request the run pauses at one event. Diagnostics,
which have their own tests, get only seconds, because a hanging API would use their whole minute.
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest

from firstlight.diagnostics import collect
from firstlight.events import Stamped
from firstlight.run import diagnosis
from fixtures.stash import BUS
from tests.waiting import until

FILE, PAUSE = "FIRSTLIGHT_EVENT_LOG", "FIRSTLIGHT_PAUSE"

DIAGNOSTICS_S = 3.0

PAUSE_S = 60.0
"""Seconds. A test that died must not pause a run without end."""


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Subscribe to the events of the run."""
    bus = config.stash.get(BUS, None)
    path = os.environ.get(FILE)
    if bus is None or not path:
        return

    diagnosis.collect = partial(collect, longest_s=DIAGNOSTICS_S)
    pause, paused = os.environ.get(PAUSE, ""), []

    def write_event(stamped: Stamped) -> None:
        line = f"{type(stamped.event).__name__} {asdict(stamped.event)!r}\n"
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(line)
        if pause and not paused and re.search(pause, line):
            paused.append(line)
            until(Path(f"{path}.go").exists, within_s=PAUSE_S)

    bus.add(write_event)
