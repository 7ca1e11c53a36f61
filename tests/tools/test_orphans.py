"""What a killed run leaves behind is ended, by its mark alone, and nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from firstlight.clock import SystemClock
from firstlight.tools.orphans import MARK, end_orphans

# It says that it runs, so that its environment is its own by then, and waits for an input that never comes.
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


def test_only_what_carries_this_mark_is_ended(tmp_path: Path):
    with started(str(tmp_path / "infra")) as ours, started(str(tmp_path / "apps")) as others:
        # A zombie has no environment any more, so that the one that is ended is not waited for in vain.
        ended = end_orphans(str(tmp_path / "infra"), SystemClock())
        spared = others.poll()
        others.kill()

    assert ended == (Path(sys.executable).name,)
    assert ours.returncode == -signal.SIGTERM
    assert spared is None


def test_there_is_nothing_to_end_without_a_killed_run(tmp_path: Path):
    assert end_orphans(str(tmp_path), SystemClock()) == ()
