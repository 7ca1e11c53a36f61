"""The lab's background processes: start, find and end them.

A process is recognised by the lab's mark in its environment, so it is found even if the command
that started it was killed before it could record it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from firstlight.clock import SystemClock
from firstlight.files import write_atomically
from lab.simulated.paths import MARK, LabPaths


@dataclass(frozen=True, slots=True)
class Daemon:
    """A process that this lab started.

    Attributes:
        name: The name of the process and of its log.
        pid: Its process id.
        since: When it was started, ISO 8601.
        stamp: A digest of its inputs. If it changes, the process must be restarted.
    """

    name: str
    pid: int
    since: str
    stamp: str


def start(
    paths: LabPaths, name: str, argv: Sequence[str], environment: Mapping[str, str], *, stamp: str
) -> Daemon:
    """Start a process of the lab in its own session, with its output in its log."""
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
        "started": start_time(child.pid),
        "boot": boot(),
        "since": daemon.since,
        "stamp": stamp,
    }
    write_atomically(paths.run / f"{name}.json", json.dumps(record) + "\n", mode=0o644)
    # The process outlives us. Without this, Python warns about it at exit.
    child.returncode = 0
    return daemon


def running(paths: LabPaths, name: str) -> Daemon | None:
    """Return the lab's process of that name if it is running. A reused id does not count."""
    try:
        record = json.loads((paths.run / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    pid = int(record["pid"])
    if (start_time(pid), boot()) != (
        record["started"],
        record.get("boot"),
    ) or is_zombie(pid):
        return None
    return Daemon(name, pid, str(record["since"]), str(record["stamp"]))


def end(pids: Sequence[int], state: Path, *, terminate_s: float, kill_s: float) -> tuple[int, ...]:
    """End processes of a lab with SIGTERM, then SIGKILL; return those that are still running.

    Each process is opened as a pidfd before its mark is read again, so a reused process id is never
    signalled.
    """
    handles: dict[int, int] = {}
    for pid in pids:
        with suppress(OSError):
            handle = os.pidfd_open(pid)
            if state_of(pid) == str(state):
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
    """Wait until every process ended or time is up. A pidfd is readable after its process ended."""
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


_PROC = Path("/proc")
_STAT_SESSION = 3
_STAT_TTY = 4
_STAT_START = 19
_STAT_PARENT = 1
_YOUNG_S = 5.0
_LOADING_S = 0.005
_LOADING_ATTEMPTS = 20


def marked(state: Path) -> Iterator[int]:
    """Yield every process that carries a lab's mark and may be ended with the lab.

    This process, its ancestors and login shells are spared: somebody may have exported the lab's
    environment in a terminal.
    """
    spared = set(_ancestors(os.getpid()))
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) in spared:
            continue
        pid = int(entry.name)
        if state_of(pid) == str(state) and not is_zombie(pid) and not _is_terminal_session(pid):
            yield pid


def same_command(state: Path, argv: Sequence[str]) -> tuple[int, ...]:
    """Return the lab's processes with exactly this command line.

    One may be running without a record, if the command that started it was killed.
    """
    wanted = "\0".join(argv).encode() + b"\0"
    found = []
    for pid in marked(state):
        with suppress(OSError):
            if (_PROC / str(pid) / "cmdline").read_bytes() == wanted:
                found.append(pid)
    return tuple(found)


def command_of(pid: int) -> str:
    """Return the command line of a process, shortened for people."""
    with suppress(OSError):
        words = (_PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        return " ".join([Path(os.fsdecode(words[0])).name, *map(os.fsdecode, words[1:4])])
    return "?"


def is_zombie(pid: int) -> bool:
    """Report whether a process has ended and only waits to be reaped."""
    fields = _stat(pid)
    return not fields or fields[0] == "Z"


def state_of(pid: int) -> str:
    """Return the state folder of the lab that a process belongs to.

    Empty if it belongs to no lab or cannot be read.
    """
    prefix = f"{MARK}=".encode()
    for entry in _environment(pid).split(b"\0"):
        if entry.startswith(prefix):
            return os.fsdecode(entry[len(prefix) :])
    return ""


def _environment(pid: int) -> bytes:
    """Return a process's environment.

    It reads as empty while the program is being loaded, so a young process is read again.
    """
    for _ in range(_LOADING_ATTEMPTS):
        with suppress(OSError):
            content = (_PROC / str(pid) / "environ").read_bytes()
            if content or not _is_young(pid):
                return content
            SystemClock().sleep(_LOADING_S)
            continue
        break
    return b""


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat after the name, which may contain anything."""
    with suppress(OSError):
        return (
            (_PROC / str(pid) / "stat")
            .read_text(encoding="utf-8", errors="replace")
            .rpartition(")")[2]
            .split()
        )
    return []


def start_time(pid: int) -> int:
    """Return a process's start time in ticks since boot. With the process id, it is unique."""
    fields = _stat(pid)
    return int(fields[_STAT_START]) if fields else 0


def boot() -> str:
    """Return the id of the machine's current boot."""
    with suppress(OSError):
        return (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text(encoding="ascii").strip()
    return ""


def _is_young(pid: int) -> bool:
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - start_time(pid) / os.sysconf("SC_CLK_TCK")
    return age_s < _YOUNG_S and not is_zombie(pid)


def _is_terminal_session(pid: int) -> bool:
    fields = _stat(pid)
    return bool(fields) and int(fields[_STAT_SESSION]) == pid and int(fields[_STAT_TTY]) != 0


def _ancestors(pid: int) -> Iterator[int]:
    while pid > 0:
        yield pid
        fields = _stat(pid)
        pid = int(fields[_STAT_PARENT]) if fields else 0
