"""A pytest plugin that writes the events of a run to a file: `-p bench.recorder`.

The file is named by FIRSTLIGHT_BENCH. Its last line is what the suite itself used.
"""

from __future__ import annotations

import json
import os
import resource
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import pytest

from firstlight.events import (
    ActionBegun,
    CommandEnded,
    CriterionEnded,
    CriterionStarted,
    RunEnded,
    RunStarted,
    Stamped,
    WaitEnded,
)
from fixtures.stash import BUS

KEPT = (
    ActionBegun,
    CommandEnded,
    CriterionEnded,
    CriterionStarted,
    RunEnded,
    WaitEnded,
)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Listen to the run."""
    bus = config.stash.get(BUS, None)
    if bus is not None:
        recorder = Recorder(Path(os.environ["FIRSTLIGHT_BENCH"]))
        bus.add(recorder.hear)
        config.add_cleanup(recorder.end)


class Recorder:
    """Writes events with their time, in seconds since the epoch."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def hear(self, stamped: Stamped) -> None:
        """Write an event that a figure is made of."""
        event = stamped.event
        at_s = datetime.fromisoformat(stamped.at).timestamp()
        if isinstance(event, RunStarted):
            stages = {info.id: str(info.stage) for info in event.criteria}
            self._write("RunStarted", {"at_s": at_s, "stages": stages})
        elif isinstance(event, KEPT):
            self._write(type(event).__name__, {"at_s": at_s, **asdict(event)})

    def end(self) -> None:
        """Write what this process used, and close the file."""
        memory_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._write("Used", {"cpu_s": time.process_time(), "memory_mib": memory_kib // 1024})
        self._file.close()

    def _write(self, kind: str, fields: dict[str, object]) -> None:
        self._file.write(json.dumps({"kind": kind, **fields}) + "\n")
