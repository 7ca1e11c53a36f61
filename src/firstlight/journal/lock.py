"""The lock: one run at a time per cluster and target, and a second operator is told who holds it."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from firstlight.clock import Clock
from firstlight.errors import ClusterLocked


class ClusterLock:
    """Hold one cluster for as long as the process lives: the kernel lets go of it, so a dead run never blocks a live one."""

    def __init__(self, path: Path, cluster: str, clock: Clock) -> None:
        self._path = path
        self._cluster = cluster
        self._clock = clock
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            ClusterLocked: Another run holds it, or there is no place for a lock.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Who works on which cluster is nobody else's business.
            file = open(
                self._path,
                "a+",
                encoding="utf-8",
                opener=lambda path, flags: os.open(path, flags, 0o600),
            )
        except OSError as error:
            raise ClusterLocked(
                f"cannot lock {self._cluster}: {self._path}: {error.strerror or error}",
                next_step=f"let this user write there: ls -ld {self._path.parent}",
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise _locked(self._cluster, holder) from None
        file.seek(0)
        file.truncate()
        owner = {
            "owner": _user(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": self._clock.now().isoformat(timespec="seconds"),
        }
        file.write(json.dumps(owner))
        file.flush()
        self._file = file
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def require_unlocked(path: Path, cluster: str) -> None:
    """Refuse when a run holds a cluster, for who only looks: nothing is made, and nothing is held.

    Raises:
        ClusterLocked: A run holds it.
    """
    try:
        file = path.open(encoding="utf-8")
    except FileNotFoundError:
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _locked(cluster, file.read().strip()) from None


def _locked(cluster: str, holder: str) -> ClusterLocked:
    return ClusterLocked(
        f"cannot run on {cluster}: another run holds it\n  held by   {describe(holder)}",
        next_step="wait for it to end, or end it by its process id; a run that died holds nothing",
    )


def describe(holder: str) -> str:
    """Say who holds a lock, from what the lock file says."""
    try:
        data = json.loads(holder)
        return f"{data['owner']} on {data['host']}, process {data['pid']}, since {data['since']}"
    except (ValueError, KeyError, TypeError):
        return "somebody who has not said yet who they are"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
