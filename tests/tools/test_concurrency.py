"""Calls run concurrently, return in order, and end together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from firstlight.tools.concurrency import THREADS_MAX, concurrently
from tests.definitions import CHECKOUT
from tests.waiting import CLOCK, until


def test_results_are_in_the_order_of_the_calls():
    assert concurrently(partial(str, number) for number in range(100)) == [
        str(number) for number in range(100)
    ]


def test_the_number_of_threads_is_bounded():
    meeting = threading.Barrier(THREADS_MAX)
    now: list[int] = []
    most: list[int] = []

    def ask() -> None:
        now.append(1)
        most.append(len(now))
        # None continues before all have arrived.
        meeting.wait(timeout=30)
        now.pop()

    concurrently(ask for _ in range(THREADS_MAX * 3))

    assert max(most) == THREADS_MAX


def test_the_first_failure_is_raised_and_no_further_call_starts():
    asked: list[int] = []

    def ask(number: int) -> None:
        asked.append(number)
        if number in (3, 5):
            raise ValueError(f"question {number}")

    with pytest.raises(ValueError, match="question 3"):
        concurrently(partial(ask, number) for number in range(2_000))

    assert len(asked) < 2_000


INTERRUPTED = """
import sys
from functools import partial
from firstlight.process import run
from firstlight.tools.concurrency import concurrently
folder, second_s = sys.argv[1:]
code = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(float(sys.argv[2]))"
def ask(number):
    run([sys.executable, "-c", code, f"{folder}/{number}", "600"], timeout_s=600)
    run([sys.executable, "-c", code, f"{folder}/{number}-second", second_s], timeout_s=600)
concurrently(partial(ask, number) for number in range(4))
"""  # noqa: E501


def test_ctrl_c_ends_the_current_and_next_commands_of_all_threads(tmp_path: Path):
    words = [sys.executable, "-c", INTERRUPTED, str(tmp_path), "40"]
    with subprocess.Popen(
        words,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "src")},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until(lambda: len(pids_in(tmp_path)) >= 4, within_s=60)
        process.send_signal(signal.SIGINT)
        told_s = CLOCK.monotonic()
        _, said = process.communicate(timeout=60)

    assert len(pids_in(tmp_path)) >= 4
    assert "KeyboardInterrupt" in said
    assert CLOCK.monotonic() - told_s < 15
    assert [pid for pid in pids_in(tmp_path) if Path(f"/proc/{pid}").exists()] == []


def pids_in(folder: Path) -> list[str]:
    return [pid for pid in (path.read_text() for path in folder.iterdir()) if pid]
