"""Processes of a killed run are terminated by their mark, and no others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from firstlight.clock import SystemClock
from firstlight.tools.orphans import MARK, end_orphans

# It reports that it runs, so that its environment is set by then, and waits for input forever.
WAITING = [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"]


def started(mark: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        WAITING,
        env={**os.environ, MARK: mark},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    return child


def test_only_processes_with_the_mark_are_terminated(tmp_path: Path):
    with started(str(tmp_path / "infra")) as ours, started(str(tmp_path / "apps")) as others:
        # A zombie has no environment any more, so a terminated process is not waited for.
        ended = end_orphans(str(tmp_path / "infra"), SystemClock())
        spared = others.poll()
        others.kill()

    assert ended == (Path(sys.executable).name,)
    assert ours.returncode == -signal.SIGTERM
    assert spared is None


def test_without_a_killed_run_nothing_is_terminated(tmp_path: Path):
    assert end_orphans(str(tmp_path), SystemClock()) == ()
