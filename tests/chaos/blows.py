"""How a run is ended: what exactly gets which signal."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from firstlight.tools.orphans import MARK

LAB_DAEMONS = ("lab.simulated.git_server", "simulated-machines")
"""They stand for machines elsewhere: whatever befalls the operator's computer, they go on."""


class Blow(StrEnum):
    """What hits a run."""

    KILL = "SIGKILL to the process"
    KILL_GROUP = "SIGKILL to its process group"
    KILL_ALL = "SIGKILL to everything of the run"
    INTERRUPT = "SIGINT"
    TERMINATE = "SIGTERM"
    HANG_UP = "SIGHUP"

    @property
    def is_orderly(self) -> bool:
        """Whether the run may tidy up."""
        return self in (Blow.INTERRUPT, Blow.TERMINATE, Blow.HANG_UP)


SIGNALS = {
    Blow.INTERRUPT: signal.SIGINT,
    Blow.TERMINATE: signal.SIGTERM,
    Blow.HANG_UP: signal.SIGHUP,
}


def strike(pid: int, blow: Blow, mark: str) -> None:
    """End the run whose pytest is a process.

    Its commands lead groups of their own, so only `KILL_ALL` reaches them: a container that is removed, a machine that loses power.
    """
    with suppress(ProcessLookupError):
        if blow in SIGNALS:
            os.kill(pid, SIGNALS[blow])
        elif blow is Blow.KILL_GROUP:
            os.killpg(os.getpgid(pid), signal.SIGKILL)
        elif blow is Blow.KILL:
            os.kill(pid, signal.SIGKILL)
        else:
            _end_all(pid, mark)


def _end_all(pid: int, mark: str) -> None:
    """Freeze everything first, so that nothing notices that something else is gone."""
    everything = [*dict.fromkeys((*marked(mark), *descendants(pid)))]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for each in everything:
            with suppress(ProcessLookupError):
                os.kill(each, number)
    os.kill(pid, signal.SIGKILL)


def marked(mark: str) -> Iterator[int]:
    """Yield every process that carries the mark of a run on that state, but for our own."""
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(entry.name) != os.getpid() and wanted in (entry / "environ").read_bytes().split(
                b"\0"
            ):
                yield int(entry.name)


def descendants(pid: int) -> Iterator[int]:
    """Yield the children of a process and theirs, but for the lab's daemons."""
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
    """Return a process's command line, empty when it is gone."""
    with suppress(OSError):
        return (
            Path(f"/proc/{pid}/cmdline")
            .read_bytes()
            .replace(b"\0", b" ")
            .decode(errors="replace")
            .strip()
        )
    return ""
