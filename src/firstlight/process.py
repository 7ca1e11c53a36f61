"""Run processes: every command that firstlight starts goes through `run`.

Commands are argument lists, never shell lines. Each runs in its own process group, which is
terminated within a bounded time, and the command line is masked before it is stored.
"""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from firstlight.errors import FirstlightError, ToolMissing
from firstlight.failures import FailureClass, classify
from firstlight.masking import MASK, KeyLines, Masker

TERMINATE_WAIT_S = 5.0
"""Time for a child to exit after SIGTERM; helm needs two seconds to write its release record."""

KILL_WAIT_S = 5.0
"""Time for the kernel to reap a child after SIGKILL, before it is left to init."""

TICK_S = 0.5
"""Time between two calls of `on_tick`."""

OUTPUT_BYTES_MAX = 16 * 1024 * 1024
"""Kept of each stream; `kubectl get -o json` of a whole cluster stays far below."""

LINE_CHARACTERS_MAX = 10_000
"""Shown of one line; a tool that prints JSON may print all of it on one line."""

SHAPES_ONLY = Masker()
"""Masks text that has the shape of a secret."""

LineListener = Callable[[str], None]

_RUNNING: set[subprocess.Popen[str]] = set()
"""Children that have not exited, started by any thread."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A process that exited or was terminated.

    Attributes:
        command: The command line, shell-quoted and masked.
        exit_code: The exit code; negative for a signal, as in `subprocess`.
        stdout: Standard output, not masked: parse it, never print it.
        stderr: Standard error, masked.
        elapsed_s: Run time, in seconds.
        timed_out: Whether it was terminated because its time was up.
        output_tail: The last lines of both streams, masked.
    """

    command: str
    exit_code: int
    stdout: str
    stderr: str
    elapsed_s: float
    timed_out: bool
    output_tail: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether it exited by itself with code zero."""
        return self.exit_code == 0 and not self.timed_out

    @property
    def ending(self) -> str:
        """How it ended, in a form that follows the name of the program."""
        how = "was ended, its time was up," if self.timed_out else f"exited {self.exit_code}"
        return f"{how} after {self.elapsed_s:.1f} s"

    @property
    def last_line(self) -> str:
        """The last line of output, or of standard error after a failure.

        The two streams interleave in any order.
        """
        errors = (
            [] if self.ok else [line.strip() for line in self.stderr.splitlines() if line.strip()]
        )
        return (
            errors[-1] if errors else self.output_tail[-1] if self.output_tail else "no answer"
        )[:LINE_CHARACTERS_MAX]

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of standard error, or of standard output if that is empty."""
        text = self.stderr.strip() or self.stdout.strip()
        return "\n".join(text.splitlines()[-lines:])

    def __repr__(self) -> str:
        return (
            f"CommandResult({self.command!r}, exit_code={self.exit_code}, "
            f"elapsed_s={self.elapsed_s:.1f})"
        )

    @property
    def tool(self) -> str:
        """The name of the program."""
        return shlex.split(self.command)[0].rsplit("/", 1)[-1]

    def raise_on_failure(
        self, doing: str, *, row: str | None = None, next_step: str = ""
    ) -> CommandResult:
        """Return the result itself if the command succeeded.

        Args:
            doing: The purpose of the command; completes "cannot ...".
            row: The row of the failure catalogue that explains any failure of this command.
            next_step: What the operator does next.

        Raises:
            ToolTimedOut: The command was terminated because its time was up; a retry may succeed.
            ToolFailed: The command exited with a non-zero code.
        """
        if self.timed_out:
            raise ToolTimedOut(self, doing, row=row, next_step=next_step)
        if self.exit_code != 0:
            raise ToolFailed(self, doing, row=row, next_step=next_step)
        return self


class ToolFailed(FirstlightError):
    """A command exited with a non-zero code; `result` holds the whole result.

    Its row is the one that its tool's error output matches.
    """

    def __init__(
        self,
        result: CommandResult,
        doing: str,
        *,
        row: str | None = None,
        next_step: str = "",
    ) -> None:
        lines = [f"cannot {doing}: {result.tool} {result.ending}", f"  command   {result.command}"]
        if result.output_tail:
            lines.append("  output    " + "\n            ".join(result.output_tail[-15:]))
        super().__init__(
            "\n".join(lines),
            next_step=next_step,
            row=classify(result.tool, result.stderr or result.stdout),
            rows=(row,) if row else (),
        )
        self.result = result

    @property
    def summary(self) -> str:
        """The last line of the tool's output, and how it ended."""
        how = "no answer in time" if self.result.timed_out else f"exit code {self.result.exit_code}"
        return f"{how}: {self.result.last_line}"


class ToolTimedOut(ToolFailed):
    """A command was terminated because its time was up."""

    def __init__(
        self,
        result: CommandResult,
        doing: str,
        *,
        row: str | None = None,
        next_step: str = "",
    ) -> None:
        super().__init__(result, doing, row=row, next_step=next_step)
        # Whatever it had printed by then, a later attempt may be faster.
        self.failure_class = FailureClass.RETRY


def run(
    argv: Sequence[str | Path],
    *,
    timeout_s: float,
    input: str | None = None,  # noqa: A002 - the standard library's own name for it
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    mask: Masker = SHAPES_ONLY,
    on_line: LineListener | None = None,
    on_tick: Callable[[], None] | None = None,
    keep_open: Sequence[int] = (),
) -> CommandResult:
    """Run a command until it exits, or terminate it when its time is up.

    Args:
        argv: The command and its arguments; never a shell line.
        timeout_s: Time limit, in seconds.
        input: Text for standard input, which is empty by default.
        env: The child's whole environment; ours by default.
        cwd: The working directory.
        mask: Masks everything that people may see.
        on_line: Called with each masked line of output, one line at a time, from another thread.
        on_tick: Called every half second while the command runs.
        keep_open: File descriptors that the child inherits, for a lock that must outlive us.

    Raises:
        ToolMissing: The command does not exist or cannot be executed.
    """
    words = [str(word) for word in argv]
    command = mask(shlex.join(words))
    started = time.monotonic()
    child: subprocess.Popen[str] | None = None
    streams: _Streams | None = None
    timed_out = False
    try:
        with _signals_held_back():
            child = subprocess.Popen(
                words,
                stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                pass_fds=keep_open,
            )
            _RUNNING.add(child)
        streams = _Streams(child, mask, on_line)
        streams.start(input)
        timed_out = not _exits(child, started + timeout_s, on_tick)
        if timed_out:
            end_group(child)
    except OSError as error:
        if child is not None:
            end_group(child)
            raise
        # Missing, not executable for this user, or truncated by a broken download.
        raise ToolMissing(
            words[0], seen=f"{error.strerror} ({error.filename or words[0]})"
        ) from error
    except BaseException:
        if child is not None:
            end_group(child)
        raise
    finally:
        if child is not None:
            _RUNNING.discard(child)
        if streams is not None:
            streams.finish()
    return CommandResult(
        command=command,
        exit_code=child.returncode if child.returncode is not None else -signal.SIGKILL,
        stdout=streams.stdout,
        stderr=mask(streams.stderr),
        elapsed_s=time.monotonic() - started,
        timed_out=timed_out,
        output_tail=tuple(streams.tail),
    )


def end_group(child: subprocess.Popen[str]) -> None:
    """Terminate a child and its whole process group: SIGTERM, wait, SIGKILL, wait.

    It takes ten seconds at most; a second Ctrl+C skips the first wait.
    """
    try:
        _signal_group(child, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            _wait(child, TERMINATE_WAIT_S)
    finally:
        # Also kills what the leader left behind in its group.
        _signal_group(child, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            _wait(child, KILL_WAIT_S)


def _wait(child: subprocess.Popen[str], timeout_s: float) -> None:
    """Wait for a child's exit, which Linux reports at once; `Popen.wait` looks every 50 ms.

    Raises:
        subprocess.TimeoutExpired: The child still runs after this many seconds.
    """
    with suppress(AttributeError, OSError):  # not on Linux, or already waited for
        exited = os.pidfd_open(child.pid)
        try:
            poll = select.poll()
            poll.register(exited, select.POLLIN)
            poll.poll(timeout_s * 1000)
        finally:
            os.close(exited)
        timeout_s = 0
    child.wait(timeout=timeout_s)


def end_running() -> None:
    """Terminate every running child, whichever thread waits for it; all get SIGTERM at once."""
    for child in tuple(_RUNNING):
        _signal_group(child, signal.SIGTERM)
    for child in tuple(_RUNNING):
        end_group(child)


def kill_running() -> None:
    """Kill every running child without SIGTERM."""
    for child in tuple(_RUNNING):
        _signal_group(child, signal.SIGKILL)


def _exits(
    child: subprocess.Popen[str], deadline_s: float, on_tick: Callable[[], None] | None
) -> bool:
    """Wait for a child, and report whether it exited before the deadline."""
    while (left_s := deadline_s - time.monotonic()) > 0:
        try:
            _wait(child, min(TICK_S, left_s) if on_tick else left_s)
        except subprocess.TimeoutExpired:
            if on_tick:
                on_tick()
        else:
            return True
    return child.poll() is not None


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Deliver an interrupt only once the new process is known, or nobody would terminate it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[int] = []
    before = {
        number: signal.signal(number, lambda n, _: seen.append(n))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        for late in seen:
            signal.raise_signal(late)


def _signal_group(child: subprocess.Popen[str], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


class _Streams:
    """Read both streams of a child in threads, so that neither can fill up and block it."""

    TAIL_LINES = 40

    def __init__(
        self, child: subprocess.Popen[str], mask: Masker, on_line: LineListener | None
    ) -> None:
        self._child = child
        self._mask = mask
        self._key_lines = {"out": KeyLines(), "err": KeyLines()}
        self._on_line = on_line
        self._lock = threading.Lock()
        self._listening = threading.Lock()
        self._parts: dict[str, list[str]] = {"out": [], "err": []}
        self._sizes = {"out": 0, "err": 0}
        self._threads: list[threading.Thread] = []
        self._tail: deque[tuple[str, bool]] = deque(maxlen=self.TAIL_LINES)
        """The last raw lines, and whether each is part of a key.

        Masking takes longer than reading, and most lines are never shown.
        """

    def start(self, text: str | None) -> None:
        for name, stream in (("out", self._child.stdout), ("err", self._child.stderr)):
            if stream is not None:
                self._spawn(self._read, name, stream)
        if text is not None and self._child.stdin is not None:
            self._spawn(self._write, self._child.stdin, text)

    def finish(self) -> None:
        for thread in self._threads:
            # A grandchild that left the group may hold the pipe open; it must not block us.
            thread.join(timeout=2.0)

    @property
    def tail(self) -> list[str]:
        """The last lines of both streams, masked."""
        with self._lock:
            lines = tuple(self._tail)
        return [self._shown(line, secret=secret) for line, secret in lines]

    @property
    def stdout(self) -> str:
        return "".join(self._parts["out"])

    @property
    def stderr(self) -> str:
        return "".join(self._parts["err"])

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _read(self, name: str, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                kept, secret = self._keep(name, line)
                if self._on_line is not None and kept:
                    self._report(name, stream, self._shown(kept, secret=secret))

    def _report(self, name: str, stream: IO[str], shown: str) -> None:
        if self._on_line is None:
            return
        try:
            with self._listening:
                self._on_line(shown)
        except Exception:
            # A failing listener must not fill the pipe: child and parent would wait for each other.
            for rest in stream:
                self._keep(name, rest)
            raise

    def _shown(self, line: str, *, secret: bool) -> str:
        return MASK if secret else self._mask(line)

    def _keep(self, name: str, line: str) -> tuple[str, bool]:
        """Keep a line while there is room.

        Returns:
            Its visible part, unmasked, and whether it is part of a key.
        """
        kept = line.rstrip()[:LINE_CHARACTERS_MAX]
        secret = self._key_lines[name].is_within_a_key(kept)
        with self._lock:
            room = OUTPUT_BYTES_MAX - self._sizes[name]
            if room > 0:
                self._parts[name].append(line[:room])
                self._sizes[name] += len(line)
            if kept:
                self._tail.append((kept, secret))
        return kept, secret

    @staticmethod
    def _write(stream: IO[str], text: str) -> None:
        # The child may exit without reading all of it; its exit code says why.
        with suppress(BrokenPipeError), stream:
            stream.write(text)
