"""Shared fixtures of the lab's tests: separate folders, and processes that always end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstlight.process import CommandResult, run
from lab.simulated import processes
from lab.simulated.paths import LabPaths
from tests.lab.support import CALL_S, ROOT, Call, python_environment


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[LabPaths]:
    """A lab's paths below the test's own folder. Processes that still run at the end are ended."""
    found = LabPaths(cluster="infra", state=(tmp_path / "state" / "infra").resolve(), checkout=ROOT)
    found.run.mkdir(parents=True)
    yield found
    processes.end(tuple(processes.marked(found.state)), found.state, terminate_s=1.0, kill_s=5.0)


@pytest.fixture
def op(paths: LabPaths) -> Call:
    """Call the `op` stand-in as a real process, as its wrapper does."""

    def call(*words: str, stdin: str | None = None) -> CommandResult:
        argv = [sys.executable, "-m", "lab.simulated.op", "--lab", str(paths.state), *words]
        return run(argv, timeout_s=CALL_S, input=stdin, env=python_environment())

    return call
