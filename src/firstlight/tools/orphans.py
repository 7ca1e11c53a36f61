"""Orphans: commands that outlive a killed run and would interfere with the next one.

A killed run cannot terminate its children. So each command carries a mark in its environment, and
the next run, once it holds the cluster's lock, terminates every process with that mark. This works
only on Linux, where the kernel shows the environments of processes.
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
"""Time for helm to record that its release failed, before it is killed."""


def end_orphans(mark: str, clock: Clock) -> tuple[str, ...]:
    """Terminate the processes of an earlier run, and return their names.

    The caller holds the cluster's lock.
    """
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
    """Return the names of running processes of an earlier run."""
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
    """Return the name of a process's program, without arguments, which may be secret."""
    with suppress(OSError):
        return Path(
            os.fsdecode((Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")[0])
        ).name
    return "?"
