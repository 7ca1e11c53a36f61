"""How runs are terminated: which signal goes to which processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from firstlight.tools.orphans import MARK

LAB_DAEMONS = ("lab.simulated.git_server", "simulated-machines")
"""They stand for other machines, so they survive whatever happens to the operator's computer."""


class Termination(StrEnum):
    """How a run is terminated."""

    KILL = "SIGKILL to the process"
    KILL_GROUP = "SIGKILL to its process group"
    KILL_ALL = "SIGKILL to everything of the run"
    INTERRUPT = "SIGINT"
    TERMINATE = "SIGTERM"
    HANG_UP = "SIGHUP"

    @property
    def is_graceful(self) -> bool:
        """Report whether the run may clean up."""
        return self in (Termination.INTERRUPT, Termination.TERMINATE, Termination.HANG_UP)


SIGNALS = {
    Termination.INTERRUPT: signal.SIGINT,
    Termination.TERMINATE: signal.SIGTERM,
    Termination.HANG_UP: signal.SIGHUP,
}


def terminate(pid: int, termination: Termination, mark: str) -> None:
    """Terminate a run by the process id of its pytest.

    Commands of the run lead their own process groups, so only `KILL_ALL` reaches them. That is what
    happens when a container is removed or a machine loses power.
    """
    with suppress(ProcessLookupError):
        if termination in SIGNALS:
            os.kill(pid, SIGNALS[termination])
        elif termination is Termination.KILL_GROUP:
            os.killpg(os.getpgid(pid), signal.SIGKILL)
        elif termination is Termination.KILL:
            os.kill(pid, signal.SIGKILL)
        else:
            _end_all(pid, mark)


def _end_all(pid: int, mark: str) -> None:
    """Stop everything first, so that no process notices that another one is gone."""
    everything = [*dict.fromkeys((*marked(mark), *descendants(pid)))]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for each in everything:
            with suppress(ProcessLookupError):
                os.kill(each, number)
    os.kill(pid, signal.SIGKILL)


def marked(mark: str) -> Iterator[int]:
    """Yield every process that carries the mark of a run on that state, except our own."""
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(entry.name) != os.getpid() and wanted in (entry / "environ").read_bytes().split(
                b"\0"
            ):
                yield int(entry.name)


def descendants(pid: int) -> Iterator[int]:
    """Yield all descendants of a process, except the lab's daemons."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            parent = int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    while found:
        for child in children.get(found.pop(), ()):
            if not any(name in command(child) for name in LAB_DAEMONS):
                yield child
                found.append(child)


def command(pid: int) -> str:
    """Return a process's command line; empty if it is gone."""
    with suppress(OSError):
        return (
            Path(f"/proc/{pid}/cmdline")
            .read_bytes()
            .replace(b"\0", b" ")
            .decode(errors="replace")
            .strip()
        )
    return ""
