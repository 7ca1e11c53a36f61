"""Orphans: commands that go on after their run was killed, and would work against the run that takes over.

A killed run cannot end its children, so each command carries a mark in its environment, and the next run that holds the cluster's lock
ends every process that still has it. Where the kernel shows no environments (everywhere but on Linux) there is nothing to find.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from firstlight.clock import Clock

MARK = "FIRSTLIGHT_RUN"

ENDING_S = 5.0
"""How long helm may take to write down that its release failed, before it is killed."""


def end_orphans(mark: str, clock: Clock) -> tuple[str, ...]:
    """End every process of an earlier run, and return what they were; the caller holds the cluster's lock."""
    ended = {pid: _command(pid) for pid in _marked(mark)}
    _signal(list(ended), signal.SIGTERM)
    deadline = clock.monotonic() + ENDING_S
    while (left := list(_marked(mark))) and clock.monotonic() < deadline:
        clock.sleep(0.05)
    for pid in left:
        ended.setdefault(pid, _command(pid))
    _signal(left, signal.SIGKILL)
    return tuple(ended[pid] for pid in sorted(ended))


def find_orphans(mark: str) -> tuple[str, ...]:
    """Return the commands of an earlier run that still work, and leave them alone."""
    return tuple(_command(pid) for pid in sorted(_marked(mark)))


def _marked(mark: str) -> Iterator[int]:
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (
                wanted in (entry / "environ").read_bytes().split(b"\0")
                and int(entry.name) != os.getpid()
            ):
                yield int(entry.name)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _command(pid: int) -> str:
    """Return the name of what a process runs: its arguments may hold what nobody should see."""
    with suppress(OSError):
        return Path(
            os.fsdecode((Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")[0])
        ).name
    return "?"
