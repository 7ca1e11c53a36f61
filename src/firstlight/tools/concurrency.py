"""Ask many machines at once, with a bounded number of threads that all end together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from firstlight.process import end_running

T = TypeVar("T")

THREADS_MAX = 16
"""A command takes 0.1 s of CPU and 50 MB; more of them at once gain nothing on a workstation."""

LATE_START_S = 0.2
"""How soon a command is terminated that started after the run was interrupted."""


def concurrently(calls: Iterable[Callable[[], T]]) -> list[T]:
    """Run all calls in threads, and return their results in order.

    After the first failure, no further call is started. When the run is interrupted, running
    commands are terminated.

    Raises:
        BaseException: The first error of any call.
    """
    stopped = threading.Event()

    def attempt(call: Callable[[], T]) -> T:
        if stopped.is_set():
            raise CancelledError
        try:
            return call()
        except BaseException:
            stopped.set()
            raise

    futures: list[Future[T]] = []
    with ThreadPoolExecutor(THREADS_MAX) as pool:
        try:
            futures.extend(pool.submit(attempt, call) for call in calls)
            wait(futures)
        except BaseException:
            stopped.set()
            end_running()
            # A call may have been about to start a command, or may start another one.
            while wait(futures, timeout=LATE_START_S).not_done:
                end_running()
            raise
    errors = (future.exception() for future in futures)
    failed = next(
        (error for error in errors if error is not None and not isinstance(error, CancelledError)),
        None,
    )
    if failed is not None:
        raise failed
    return [future.result() for future in futures]
