"""Locks between processes: one holder per lock file, recorded in it, released by the kernel.

The `filelock` library does not fit: it cannot report who holds a lock, cannot check a lock without
creating the file, and does not expose the descriptor that a child must inherit to keep the lock.
"""

from __future__ import annotations

import errno
import fcntl
import getpass
import json
import os
import shlex
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from firstlight.clock import Clock, SystemClock
from firstlight.errors import ClusterLocked, FirstlightError

PAUSE_S = 0.1
"""Time between two attempts to take a lock that another process holds."""

_REMOVALS_MAX = 100
"""A lock file that is missing so often after it was created is not removed by a holder."""

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
        path: The lock file; it is created if necessary. Only its holder may remove it.
        doing: What the lock is held for, for those who wait.
        wait_s: How long to wait for another holder, in seconds.
        on_wait: Called once with a line that names the holder, if there is one to wait for.
        clock: The source of time.

    Raises:
        LockHeld: Another process holds the lock.
        OSError: The lock file cannot be created.
    """
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
def cluster_lock(path: Path, cluster: str, clock: Clock, *, doing: str = "") -> Iterator[None]:
    """Hold a cluster: one run, or one task that removes it, at a time per cluster and target.

    Args:
        path: The lock file, outside every folder that is removed with the cluster.
        cluster: The cluster.
        clock: The source of time.
        doing: What a task does with the cluster (`remove the lab of infra`); empty for a run.

    Raises:
        ClusterLocked: A run or such a task holds the cluster, or the lock file cannot be created.
    """
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            stack.enter_context(locked(path, doing=doing, clock=clock))
        except LockHeld:
            raise _cluster_is_locked(path, cluster, doing) from None
        except OSError as error:
            raise _cannot_lock(path, cluster, error) from error
        yield


def require_unlocked(path: Path, cluster: str) -> None:
    """Refuse if the cluster is held; nothing is created or held.

    Raises:
        ClusterLocked: A run, or a task that removes the cluster, holds it, or the lock file cannot
            be read.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise _cannot_lock(path, cluster, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _cluster_is_locked(path, cluster) from None
    finally:
        os.close(descriptor)


def _cluster_is_locked(path: Path, cluster: str, doing: str = "") -> ClusterLocked:
    # A run says nothing about what it does; everything else does.
    other = "task" if _record(path).get("doing") else "run"
    return ClusterLocked(
        f"cannot {doing or f'run on {cluster}'}: another {other} holds it\n"
        f"  held by   {_holder(path)}",
        next_step="wait for it to end, or end it by its process id; a dead run holds nothing",
    )


def _cannot_lock(path: Path, cluster: str, error: OSError) -> ClusterLocked:
    return ClusterLocked(
        f"cannot lock {cluster}: {path}: {error.strerror or error}",
        next_step=f"let this user write there: ls -ld {shlex.quote(str(path.parent))}",
    )


def _take(path: Path) -> int | None:
    """Return the descriptor of the lock, or None if another process holds it."""
    for _ in range(_REMOVALS_MAX):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # its holder has just removed it, or its folder
            # The file names a user and a host, which are nobody else's business.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A lock on a file that was removed since it was opened excludes nobody.
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
            except BlockingIOError:
                os.close(descriptor)
                return None
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _record(path: Path) -> dict[str, object]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _holder(path: Path) -> str:
    """Describe the holder that a lock file records."""
    try:
        record = _record(path)
        doing = f" ({record['doing']})" if record.get("doing") else ""
        return (
            f"{record['owner']} on {record['host']}, process {record['pid']}{doing}, "
            f"since {record['since']}"
        )
    except KeyError:
        return "a process that has not recorded its name yet"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
