"""Locks between processes: one holder per lock file, recorded in it, released by the kernel.

The `filelock` library does not fit: it cannot report who holds a lock, cannot check a lock without
creating the file, and does not expose the descriptor that a child must inherit to keep the lock.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from firstlight.clock import Clock, SystemClock
from firstlight.errors import ClusterLocked, FirstlightError

PAUSE_S = 0.1
"""Time between two attempts to take a lock that another process holds."""

SYSTEM_CLOCK = SystemClock()


class LockHeld(FirstlightError):
    """Another process holds the lock; `holder` says who, where and since when."""

    def __init__(self, path: Path, holder: str, waited_s: float) -> None:
        super().__init__(
            f"cannot lock {path}: still held after {waited_s:.0f} s\n  held by   {holder}",
            next_step="wait for it to end, or end it by its process id",
        )
        self.holder = holder


@contextmanager
def locked(
    path: Path,
    *,
    doing: str = "",
    wait_s: float = 0.0,
    on_wait: Callable[[str], None] | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Iterator[int]:
    """Hold a lock while the block runs, and yield its descriptor.

    A child that inherits the descriptor keeps the lock after we die.

    Args:
        path: The lock file; it is created if necessary and never removed.
        doing: What the lock is held for, for those who wait.
        wait_s: How long to wait for another holder, in seconds.
        on_wait: Called once with a line that names the holder, if there is one to wait for.
        clock: The source of time.

    Raises:
        LockHeld: Another process holds the lock.
        OSError: The lock file cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline_s, waiting = clock.monotonic() + wait_s, False
    while (descriptor := _take(path)) is None:
        if clock.monotonic() >= deadline_s:
            raise LockHeld(path, _holder(path), wait_s)
        if on_wait is not None and not waiting:
            on_wait(f"waiting for {_holder(path)}")
        waiting = True
        clock.sleep(PAUSE_S)
    try:
        record = {
            "owner": _user(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": clock.now().isoformat(timespec="seconds"),
            "doing": doing,
        }
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(record).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def cluster_lock(path: Path, cluster: str, clock: Clock) -> Iterator[None]:
    """Hold a cluster: one run at a time per cluster and target.

    Raises:
        ClusterLocked: Another run holds the cluster, or the lock file cannot be created.
    """
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            stack.enter_context(locked(path, clock=clock))
        except LockHeld as held:
            raise _cluster_is_locked(cluster, held.holder) from None
        except OSError as error:
            raise ClusterLocked(
                f"cannot lock {cluster}: {path}: {error.strerror or error}",
                next_step=f"let this user write there: ls -ld {path.parent}",
            ) from error
        yield


def require_unlocked(path: Path, cluster: str) -> None:
    """Refuse if a run holds the cluster; nothing is created or held.

    Raises:
        ClusterLocked: A run holds the cluster.
    """
    try:
        file = path.open(encoding="utf-8")
    except FileNotFoundError:
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _cluster_is_locked(cluster, _holder(path)) from None


def _cluster_is_locked(cluster: str, holder: str) -> ClusterLocked:
    return ClusterLocked(
        f"cannot run on {cluster}: another run holds it\n  held by   {holder}",
        next_step="wait for it to end, or end it by its process id; a dead run holds nothing",
    )


def _take(path: Path) -> int | None:
    # The file names a user and a host, which are nobody else's business.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The file may have been removed since it was opened; a lock on that one excludes nobody.
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _holder(path: Path) -> str:
    """Describe the holder that a lock file records."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        doing = f" ({record['doing']})" if record.get("doing") else ""
        return (
            f"{record['owner']} on {record['host']}, process {record['pid']}{doing}, "
            f"since {record['since']}"
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "a process that has not recorded its name yet"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
