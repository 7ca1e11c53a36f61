"""Run one command to its end, with a bound, its output as it comes, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, TypeAlias

from firstlight.errors import FirstlightError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

# How often the caller may redraw while the command says nothing.
_TICK_S = 0.5
# What a command is given to end by itself once it is told to.
_GRACE_S = 5.0
# A stream's name and a line of it, or None at its end.
_Lines: TypeAlias = "queue.SimpleQueue[tuple[str, str | None]]"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended and what it said."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    elapsed_s: float

    @property
    def success(self) -> bool:
        """Whether the command said that it succeeded."""
        return self.code == 0

    def tail(self, lines: int = 15) -> str:
        """Return the end of what it said, standard error first."""
        said = self.stderr.strip() or self.stdout.strip()
        return "\n".join(said.splitlines()[-lines:])


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    on_tick: Callable[[], None] | None = None,
    keep_open: tuple[int, ...] = (),
) -> Outcome:
    """Run `argv` in a process group of its own and return its outcome.

    Args:
        argv: The command.
        timeout_s: After this the group is ended and FirstlightError is raised.
        env: The whole environment; ours if None.
        cwd: Where it runs.
        on_line: Is given each line of standard error as it comes.
        on_tick: Is called about twice a second while the command runs.
        keep_open: File descriptors that the command shall hold, for a lock that must live as long as it does.
    """
    begun = time.monotonic()
    process: subprocess.Popen[str] | None = None
    try:
        with _signals_held_back():
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                text=True,
                errors="replace",
                start_new_session=True,
                pass_fds=keep_open,
            )
        said = _listen(process, begun + timeout_s, on_line, on_tick)
        code = process.wait(timeout=max(0.1, begun + timeout_s - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        raise FirstlightError(
            f"cannot finish {' '.join(argv[:4])}: still running after {timeout_s:.0f} s",
            next_step="run the same again; what it has done is kept",
        ) from None
    except OSError as error:
        raise FirstlightError(f"cannot run {argv[0]}: {error}") from error
    finally:
        if process is not None:
            _end(process)
    return Outcome(tuple(argv), code, said["stdout"], said["stderr"], time.monotonic() - begun)


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """Deliver what would interrupt us only once the new process is known, or nobody would end it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[int] = []
    before = {
        number: signal.signal(number, lambda n, _: seen.append(n))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        for late in seen:
            signal.raise_signal(late)


def _listen(
    process: subprocess.Popen[str],
    deadline: float,
    on_line: Callable[[str], None] | None,
    on_tick: Callable[[], None] | None,
) -> dict[str, str]:
    """Collect both streams to their ends; each is read by a thread, so that neither can block the other."""
    lines: _Lines = queue.SimpleQueue()
    said: dict[str, list[str]] = {"stdout": [], "stderr": []}
    for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
        threading.Thread(target=_read, args=(name, stream, lines), daemon=True).start()
    still_open = len(said)
    while still_open:
        if time.monotonic() > deadline:
            raise TimeoutError
        try:
            name, line = lines.get(timeout=_TICK_S)
        except queue.Empty:
            if on_tick:
                on_tick()
            continue
        if line is None:
            still_open -= 1
            continue
        said[name].append(line)
        if on_line and name == "stderr":
            on_line(line.rstrip("\n"))
    return {name: "".join(parts) for name, parts in said.items()}


def _read(name: str, stream: IO[str] | None, lines: _Lines) -> None:
    if stream is not None:
        with stream:
            for line in stream:
                lines.put((name, line))
    lines.put((name, None))


def _end(process: subprocess.Popen[str]) -> None:
    """End the group of a command that is still running: ask, wait, insist."""
    if process.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        # The second signal is for children as well, which may live on when the command itself is gone.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_GRACE_S)
