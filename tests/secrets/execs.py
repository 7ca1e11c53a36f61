"""Run a command, and log arguments and environment of every exec of it and of its children.

    python -m tests.secrets.execs FILE COMMAND...

The kernel stops a process right after each exec, so none is missed, however short it lives.
Processes that ran before, such as the lab's daemons, are not traced. Signals are passed on, and the
exit code is the command's.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

CONT, SEIZE, LISTEN = 7, 0x4206, 0x4208
FORK, VFORK, CLONE, EXEC = 2, 4, 8, 16
EVENT_EXEC, EVENT_STOP = 4, 128
WALL = 0x40000000
"""Also waits for threads, each of which may start a process."""

UNWATCHED = 125
"""The exit code if tracing is not allowed; the last line says why."""

STOPPING = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.ptrace.restype = ctypes.c_long


@dataclass(frozen=True)
class Exec:
    """A program that was started.

    Attributes:
        pid: The process.
        argv: Its argument list.
        environment: Its environment, as `NAME=value`.
    """

    pid: int
    argv: tuple[str, ...]
    environment: tuple[str, ...]


def watched(
    words: list[str], log: Path, *, cwd: Path, env: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run a command and add every exec to the log."""
    command = [sys.executable, str(Path(__file__)), str(log), *words]
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout_s, check=False
    )


def read(log: Path) -> list[Exec]:
    """Return the execs, in order."""
    lines = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    return [Exec(line["pid"], tuple(line["argv"]), tuple(line["environment"])) for line in lines]


def why_not() -> str:
    """Return why processes cannot be traced here, empty if they can."""
    if not sys.platform.startswith("linux"):
        return "only Linux has ptrace as it is used here"
    command = [sys.executable, str(Path(__file__)), os.devnull, "true"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return (
        ""
        if done.returncode == 0
        else (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    )


def main(log: str, *words: str) -> int:
    """Run the command and log its execs."""
    ready, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go)
        # Wait until it is traced.
        os.read(ready, 1)
        os.execvp(words[0], words)
    os.close(ready)
    try:
        _ptrace(SEIZE, child, FORK | VFORK | CLONE | EXEC)
    except OSError as error:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        sys.stderr.write(f"cannot watch a process of our own: {error.strerror}\n")
        return UNWATCHED
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda heard, _: os.kill(child, heard))
    os.close(go)
    with Path(log).open("a", encoding="utf-8") as stream:
        status = _follow(child, stream)
    return -os.WTERMSIG(status) & 0xFF if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _follow(child: int, stream: TextIO) -> int:
    """Resume every stopped process until the command exits; survivors continue untraced."""
    while True:
        pid, status = os.waitpid(-1, WALL)
        if not os.WIFSTOPPED(status):
            if pid == child:
                return status
            continue
        event, number = status >> 16, os.WSTOPSIG(status)
        if event == EVENT_EXEC:
            started = {
                "pid": pid,
                "argv": list(_strings(pid, "cmdline")),
                "environment": list(_strings(pid, "environ")),
            }
            stream.write(json.dumps(started) + "\n")
            stream.flush()
        try:
            if event == EVENT_STOP and number in STOPPING:
                _ptrace(LISTEN, pid, 0)
            else:
                _ptrace(CONT, pid, number if event == 0 else 0)
        except ProcessLookupError:
            # It was killed while it was stopped.
            continue


def _strings(pid: int, file: str) -> Iterator[str]:
    content = Path(f"/proc/{pid}/{file}").read_bytes()
    yield from (part.decode(errors="replace") for part in content.removesuffix(b"\0").split(b"\0"))


def _ptrace(request: int, pid: int, data: int) -> None:
    if _LIBC.ptrace(request, pid, None, data) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
