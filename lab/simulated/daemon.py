"""Processes that outlive the command that starts them: one function starts, the lab's mark finds them again."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from firstlight.clock import SystemClock
from lab.simulated import processes
from lab.simulated.paths import MARK, LabPaths, write_atomic


@dataclass(frozen=True, slots=True)
class Daemon:
    """A process that this lab started.

    Attributes:
        name: What it is, and the name of its log.
        pid: Its process id.
        since: When it was started, ISO 8601.
        stamp: A digest of what it was started with; another one means that it must be started anew.
    """

    name: str
    pid: int
    since: str
    stamp: str


def start(
    paths: LabPaths, name: str, argv: Sequence[str], environment: Mapping[str, str], *, stamp: str
) -> Daemon:
    """Start a process of the lab in a session of its own; its output goes to its log."""
    paths.logs.mkdir(parents=True, exist_ok=True)
    with (paths.logs / f"{name}.log").open("ab") as log:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**environment, MARK: str(paths.state)},
            cwd=paths.checkout,
            start_new_session=True,
        )
    daemon = Daemon(name, child.pid, datetime.now(UTC).isoformat(timespec="seconds"), stamp)
    record = {
        "pid": child.pid,
        "started": processes.start_time(child.pid),
        "boot": processes.boot(),
        "since": daemon.since,
        "stamp": stamp,
    }
    write_atomic(paths.run / f"{name}.json", json.dumps(record) + "\n")
    # It is not ours to wait for; without this, Python warns of it at exit.
    child.returncode = 0
    return daemon


def running(paths: LabPaths, name: str) -> Daemon | None:
    """Return the lab's process of that name if it still runs; a process id that somebody else has by now does not count."""
    try:
        record = json.loads((paths.run / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    pid = int(record["pid"])
    if (processes.start_time(pid), processes.boot()) != (
        record["started"],
        record.get("boot"),
    ) or processes.is_zombie(pid):
        return None
    return Daemon(name, pid, str(record["since"]), str(record["stamp"]))


def end(pids: Sequence[int], state: Path, *, terminate_s: float, kill_s: float) -> tuple[int, ...]:
    """End processes of a lab: ask, wait, kill, wait; return those that are still there.

    A handle on each process is opened first and its mark read again through it, so that a process id that was given to somebody else in the
    meantime is never signalled.
    """
    handles: dict[int, int] = {}
    for pid in pids:
        with suppress(OSError):
            handle = os.pidfd_open(pid)
            if processes.state_of(pid) == str(state):
                handles[handle] = pid
            else:
                os.close(handle)
    try:
        left = set(handles)
        for number, wait_s in ((signal.SIGTERM, terminate_s), (signal.SIGKILL, kill_s)):
            for handle in left:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
            left = _still_there(left, wait_s)
        return tuple(sorted(handles[handle] for handle in left))
    finally:
        for handle in handles:
            os.close(handle)


def _still_there(handles: set[int], wait_s: float) -> set[int]:
    """Wait until every process ended or the time is up; the kernel makes a handle readable when its process ends."""
    left = set(handles)
    poll = select.poll()
    for handle in left:
        poll.register(handle, select.POLLIN)
    clock = SystemClock()
    deadline = clock.monotonic() + wait_s
    while left:
        remaining = deadline - clock.monotonic()
        if remaining <= 0:
            break
        for handle, _ in poll.poll(remaining * 1000):
            poll.unregister(handle)
            left.discard(handle)
    return left
