"""One change of a lab at a time: the second `up` waits for the first, and then finds its work done."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from firstlight.clock import Clock
from firstlight.errors import TargetError
from lab.simulated.paths import LabPaths, private_dir

WAIT_S = 60.0
"""A cold `up` takes seconds; whoever holds the lock for longer hangs."""

_PAUSE_S = 0.1


@contextmanager
def holding(paths: LabPaths, doing: str, clock: Clock, *, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the lab for as long as the block runs; the kernel lets go of it if this process dies.

    Raises:
        TargetError: Somebody else holds it, and does not let go.
    """
    private_dir(paths.lock.parent)
    deadline = clock.monotonic() + wait_s
    while (descriptor := _take(paths.lock)) is None:
        if clock.monotonic() > deadline:
            raise TargetError(
                f"cannot {doing} the lab of {paths.cluster}: it is being changed, for more than {wait_s:.0f} s\n  held by   {_holder(paths.lock)}",
                next_step="wait for it, or end it by its process id",
            )
        clock.sleep(_PAUSE_S)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(
            descriptor,
            f"process {os.getpid()} ({doing}) since {datetime.now(UTC).isoformat(timespec='seconds')}".encode(),
            0,
        )
        yield
    finally:
        os.close(descriptor)


def _take(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # `down` removes the file while it holds it: a lock on the removed one keeps nobody out.
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") or "a process that has not said who it is"
    except OSError:
        return "a process that has just ended"
