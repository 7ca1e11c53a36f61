"""The one function that runs processes: `run`.

Argument lists only, no shell; each child in its own process group; output streamed line by line; ended in bounded steps; secrets masked
in the type that holds the command line.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from firstlight.errors import FirstlightError, ToolMissing
from firstlight.tools.classification import Class, Rule, classify
from firstlight.masking import MASK, KeyLines, Masker

TERMINATE_WAIT_S = 5.0
"""How long a child may take to end itself after SIGTERM: helm needs about two seconds to write its release record."""

KILL_WAIT_S = 5.0
"""How long the kernel may take to reap after SIGKILL, before the child is left to init."""

OUTPUT_BYTES_MAX = 16 * 1024 * 1024
"""What is kept of each stream; `kubectl get -o json` of a whole cluster stays far below."""

LINE_CHARACTERS_MAX = 10_000
"""What is shown of one line; a tool that prints JSON may print all of it on one."""

NOTHING_KNOWN = Masker()
"""Masks what has the shape of a secret."""

LineListener = Callable[[str], None]

_RUNNING: set[subprocess.Popen[str]] = set()
"""Children that have not ended; other threads may have started them."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A process that ended, or was ended.

    Attributes:
        command: The command line, shell-quoted and masked.
        exit_code: What it ended with; negative for a signal, as the standard library says it.
        stdout: Standard output, not masked: parse it, never print it.
        stderr: Standard error, masked.
        elapsed_s: From start to end, in seconds.
        timed_out: Whether it was ended because its time was up.
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
        """Whether it ended by itself with exit code zero."""
        return self.exit_code == 0 and not self.timed_out

    @property
    def said(self) -> str:
        """What it said last, on one line; of a failure what it said on standard error, as output of both comes in any order."""
        errors = (
            [] if self.ok else [line.strip() for line in self.stderr.splitlines() if line.strip()]
        )
        return (
            errors[-1] if errors else self.output_tail[-1] if self.output_tail else "no answer"
        )[:LINE_CHARACTERS_MAX]

    def __repr__(self) -> str:
        return f"CommandResult({self.command!r}, exit_code={self.exit_code}, elapsed_s={self.elapsed_s:.1f})"

    def raise_on_failure(
        self, doing: str, *, rules: Sequence[Rule] = (), next_step: str = ""
    ) -> CommandResult:
        """Return itself if all went well.

        Args:
            doing: What was being done, to complete "cannot ...".
            rules: The tool's own table of failures.
            next_step: What the operator does next.

        Raises:
            ToolTimedOut: It was ended because its time was up; a later attempt may do better.
            ToolFailed: It ended with another exit code than zero.
        """
        if self.timed_out:
            raise ToolTimedOut(self, doing, next_step=next_step)
        if self.exit_code != 0:
            raise ToolFailed(
                self, doing, rule=classify(rules, self.stderr or self.stdout), next_step=next_step
            )
        return self


class ToolFailed(FirstlightError):
    """A command ended with a non-zero exit code; it carries the whole result."""

    def __init__(
        self, result: CommandResult, doing: str, *, rule: Rule | None = None, next_step: str = ""
    ) -> None:
        tool = shlex.split(result.command)[0].rsplit("/", 1)[-1]
        how = "was ended, its time was up," if result.timed_out else f"exited {result.exit_code}"
        lines = [
            f"cannot {doing}: {tool} {how} after {result.elapsed_s:.1f} s",
            f"  command   {result.command}",
        ]
        if result.output_tail:
            lines.append("  output    " + "\n            ".join(result.output_tail[-15:]))
        super().__init__("\n".join(lines), next_step=next_step)
        self.result = result
        self.rule = rule
        self.retryable = result.timed_out or (
            rule is not None and rule.meaning in (Class.RETRY, Class.WAIT)
        )
        self.pause_s = rule.pause_s if rule is not None else 0.0

    @property
    def summary(self) -> str:
        """What the tool said last, on one line."""
        how = "no answer in time" if self.result.timed_out else f"exit code {self.result.exit_code}"
        return f"{how}: {self.result.said}"


class ToolTimedOut(ToolFailed):
    """A command was ended because its time was up."""


def run(
    argv: Sequence[str | Path],
    *,
    timeout_s: float,
    input: str | None = None,  # noqa: A002 - the standard library's own name for it
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    mask: Masker = NOTHING_KNOWN,
    on_line: LineListener | None = None,
) -> CommandResult:
    """Run a command to its end, or end it when its time is up.

    Args:
        argv: The command and its arguments; never a shell line.
        timeout_s: How long it may take, in seconds.
        input: What it reads on standard input; none when absent.
        env: The whole environment of the child; ours when absent.
        cwd: Where it runs.
        mask: Masks everything that people may see.
        on_line: Is told each line of output, masked, as it comes.

    Raises:
        ToolMissing: There is no such command.
    """
    words = [str(word) for word in argv]
    command = mask(shlex.join(words))
    started = time.monotonic()
    try:
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
        )
    except OSError as error:
        # Not there, not to be run by us, or cut short when it was downloaded.
        raise ToolMissing(
            words[0], seen=f"{error.strerror} ({error.filename or words[0]})"
        ) from error
    streams = _Streams(child, mask, on_line)
    timed_out = False
    _RUNNING.add(child)
    try:
        streams.start(input)
        try:
            child.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            timed_out = True
            end_group(child)
    except BaseException:
        end_group(child)
        raise
    finally:
        _RUNNING.discard(child)
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
    """End a child and everything it started: ask, wait, kill, wait; bounded by ten seconds in all, and by a second Ctrl+C."""
    try:
        _signal_group(child, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=TERMINATE_WAIT_S)
    finally:
        # What the leader left behind in its group goes with it; so does everything, when the operator has no patience left.
        _signal_group(child, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=KILL_WAIT_S)


def end_running() -> None:
    """End every child that still runs, whichever thread waits for it: all are asked at once, and each thread then sees its own end."""
    for child in tuple(_RUNNING):
        _signal_group(child, signal.SIGTERM)
    for child in tuple(_RUNNING):
        end_group(child)


def kill_running() -> None:
    """End every child that still runs, without asking it."""
    for child in tuple(_RUNNING):
        _signal_group(child, signal.SIGKILL)


def _signal_group(child: subprocess.Popen[str], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


class _Streams:
    """Read both streams of a child in threads, so that neither can fill and block it."""

    TAIL_LINES = 40

    def __init__(
        self, child: subprocess.Popen[str], mask: Masker, on_line: LineListener | None
    ) -> None:
        self._child = child
        self._mask = mask
        self._key_lines = {"out": KeyLines(), "err": KeyLines()}
        self._on_line = on_line
        self._lock = threading.Lock()
        self._parts: dict[str, list[str]] = {"out": [], "err": []}
        self._sizes = {"out": 0, "err": 0}
        self._threads: list[threading.Thread] = []
        self._tail: deque[tuple[str, bool]] = deque(maxlen=self.TAIL_LINES)
        """The last lines as they came, and whether each is a part of a key. Masking takes longer than reading, and most lines nobody sees."""

    def start(self, text: str | None) -> None:
        for name, stream in (("out", self._child.stdout), ("err", self._child.stderr)):
            if stream is not None:
                self._spawn(self._read, name, stream)
        if text is not None and self._child.stdin is not None:
            self._spawn(self._write, self._child.stdin, text)

    def finish(self) -> None:
        for thread in self._threads:
            # A grandchild that escaped the group may hold the pipe open; it must not hold us as well.
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
                    self._tell(name, stream, self._shown(kept, secret=secret))

    def _tell(self, name: str, stream: IO[str], shown: str) -> None:
        if self._on_line is None:
            return
        try:
            self._on_line(shown)
        except Exception:
            # A listener's trouble must not fill the pipe: the child would wait for us, and we for it.
            for rest in stream:
                self._keep(name, rest)
            raise

    def _shown(self, line: str, *, secret: bool) -> str:
        return MASK if secret else self._mask(line)

    def _keep(self, name: str, line: str) -> tuple[str, bool]:
        """Keep a line as far as there is room, and return what is shown of it, unmasked, and whether it is a part of a key."""
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
        # The child may end without reading all of it; its exit code says why.
        with suppress(BrokenPipeError), stream:
            stream.write(text)
