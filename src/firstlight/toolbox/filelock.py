"""A lock between processes, held by an open file, gone with the last process that holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Longer than the longest build on a slow machine; a lock that is held for longer needs a person.
_WAIT_S = 3600.0
_POLL_S = 0.5


@contextlib.contextmanager
def locked(
    path: Path,
    on_wait: Callable[[str], None],
    *,
    wait_s: float = _WAIT_S,
    pause: Callable[[float], None] | None = None,
) -> Iterator[int]:
    """Hold the lock, waiting for whoever holds it; yield its descriptor for children that must hold it as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rest = pause or _rest
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline, told = time.monotonic() + wait_s, False
        while not _taken(descriptor):
            holder = path.read_text().strip() or "another process"
            if time.monotonic() > deadline:
                raise FirstlightError(
                    f"cannot lock {path}: {holder} holds it for more than {wait_s:.0f} s"
                )
            if not told:
                on_wait(f"waiting for {holder}, which is building the same")
                told = True
            rest(_POLL_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _rest(seconds: float) -> None:
    threading.Event().wait(seconds)
