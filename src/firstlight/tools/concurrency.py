"""Ask many machines at once: so many questions at a time, each in a thread of its own, and all ended together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from firstlight.process import end_running

T = TypeVar("T")

AT_ONCE = 16
"""A command that asks a machine computes for a tenth of a second and takes 50 MB: more of them at once gain nothing on an operator's computer."""

BEGUN_MEANWHILE_S = 0.2
"""How soon a command is ended that began after the run was stopped."""


def together(questions: Iterable[Callable[[], T]]) -> list[T]:
    """Return the answer to each question, in order.

    Raises:
        BaseException: What the first one of those that failed raised; what was not begun by then is not asked. When somebody stops the run,
            the commands that run are ended.
    """
    enough = threading.Event()

    def ask(question: Callable[[], T]) -> T:
        if enough.is_set():
            raise CancelledError
        try:
            return question()
        except BaseException:
            enough.set()
            raise

    asked: list[Future[T]] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            asked.extend(pool.submit(ask, question) for question in questions)
            wait(asked)
        except BaseException:
            enough.set()
            end_running()
            # A question that had begun may go on to its next command, or was about to begin its first.
            while wait(asked, timeout=BEGUN_MEANWHILE_S).not_done:
                end_running()
            raise
    errors = (each.exception() for each in asked)
    failed = next(
        (error for error in errors if error is not None and not isinstance(error, CancelledError)),
        None,
    )
    if failed is not None:
        raise failed
    return [each.result() for each in asked]
