"""The journal file: what began and how it ended, each event on disk before it happens.

The cluster is the truth; the journal explains it and knows when this bootstrap's first action
began. Each line is sealed with a checksum of itself and of every line before it. A lost disk block,
an editor or a half-restored backup breaks a seal, and nothing after the first broken seal is
trusted.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from firstlight.clock import Uptime
from firstlight.errors import JournalUnwritable
from firstlight.events import (
    ActionBegun,
    ActionEnded,
    ActionSkipped,
    CriterionEnded,
    RunEnded,
    RunStarted,
    Stamped,
)

JOURNAL = "journal.jsonl"
"""The name of the file, in the cluster's state folder."""

KEPT = (RunStarted, ActionBegun, ActionEnded, ActionSkipped, CriterionEnded, RunEnded)
"""What is written to disk: changes and conclusions, not observations."""


class Journal:
    """Appends events to a file, each on disk before `record` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self._seal = 0

    def __enter__(self) -> Self:
        """Open the file for appending.

        Raises:
            JournalUnwritable: It cannot be opened, so nothing may begin.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(
                self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
            )
            os.fchmod(self._file, 0o600)
            # The name of the file must survive a power loss too.
            _sync_folder(self.path.parent)
            self._seal = _last_seal(sealed_lines(self.path.read_bytes()).lines)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def record(self, stamped: Stamped) -> None:
        """Write an event and force it to disk, if it is of a kind that is kept.

        Raises:
            JournalUnwritable: It is not on disk, so what it announces must not happen.
        """
        if self._file is None or not isinstance(stamped.event, KEPT):
            return
        uptime = Uptime.now()
        data = {
            "at": stamped.at,
            "event": type(stamped.event).__name__,
            **_data(stamped.event),
            "boot": uptime.boot,
            "up_s": uptime.seconds,
        }
        line, seal_after = seal(data, self._seal)
        size = os.fstat(self._file).st_size
        try:
            _write_whole(self._file, line)
            os.fsync(self._file)
        except OSError as error:
            # A partial line would damage the next one, and must not look like something that began.
            os.ftruncate(self._file, size)
            raise _unwritable(self.path, error) from error
        self._seal = seal_after


def _write_whole(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]


def _last_seal(lines: tuple[Sealed, ...]) -> int:
    return lines[-1].seal if lines else 0


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def require_usable(path: Path, *, writing: bool = True) -> None:
    """Make sure that the journal, if there is one, is a file of which the content can be used.

    Args:
        path: The journal.
        writing: Whether it must also be writable.

    Raises:
        JournalUnwritable: It is something else, or is closed to this user.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            os.close(os.open(path, (os.O_RDWR if writing else os.O_RDONLY) | os.O_CLOEXEC))
            return
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise unusable(path, error) from error
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "a device")
    raise JournalUnwritable(
        f"cannot use the journal {path}: it is {kind}, not a file",
        next_step=f"move it away (`mv {shlex.quote(str(path))} {shlex.quote(f'{path}.aside')}`), "
        "then run the same command again: only the times of the bootstrap are lost",
    )


def unusable(path: Path, error: OSError) -> JournalUnwritable:
    """Return the error for a journal that cannot be read."""
    return JournalUnwritable(
        f"cannot use the journal {path}: {error.strerror or error}",
        next_step=f"let this user read and write it (`ls -l {shlex.quote(str(path))}`), or move it "
        "away: then only the times of the bootstrap are lost",
    )


def _unwritable(path: Path, error: OSError) -> JournalUnwritable:
    folder = shlex.quote(str(path.parent))
    return JournalUnwritable(
        f"cannot write the journal {path}: {error.strerror or error}",
        next_step=(
            f"free space (`df {folder}`) or make the folder writable for this user "
            f"(`ls -ld {folder}`), then run the same command again"
        ),
    )


def _data(event: object) -> dict[str, Any]:
    """Return an event's fields; a run's start is kept without its criteria."""
    if isinstance(event, RunStarted):
        return {
            "run_id": event.run_id,
            "cluster": event.cluster,
            "target": event.target,
            "revision": event.revision,
            "stage": event.stage,
        }
    data = asdict(event)  # type: ignore[call-overload]
    return {key: value for key, value in data.items() if key != "evidence"}


_SEALED = re.compile(rb'(\{.*), "seal": "([0-9a-f]{8})"\}', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A line whose seal matches."""

    data: dict[str, Any]
    seal: int


@dataclass(frozen=True, slots=True)
class Read:
    """What a file holds.

    Attributes:
        lines: Every line up to the first whose seal does not match.
        size: The size of these lines in bytes.
        damage: Why reading stopped before the end, empty if it did not.
        torn: The size in bytes of an incomplete last line, which was being written when its run was
            killed.
    """

    lines: tuple[Sealed, ...]
    size: int
    damage: str
    torn: int


def seal(data: Mapping[str, Any], before: int) -> tuple[bytes, int]:
    """Return a complete line and its seal, given the previous line's seal (0 for the first)."""
    body = json.dumps(data)[:-1].encode()
    value = zlib.crc32(body, before)
    return body + b', "seal": "%08x"}\n' % value, value


def sealed_lines(content: bytes) -> Read:
    """Read lines up to the first whose seal does not match."""
    lines: list[Sealed] = []
    size = 0
    while (end := content.find(b"\n", size)) >= 0:
        line = _open(content[size:end], lines[-1].seal if lines else 0)
        if line is None:
            return Read(
                tuple(lines), size, f"line {len(lines) + 1} was changed after it was written", 0
            )
        lines.append(line)
        size = end + 1
    return Read(tuple(lines), size, "", len(content) - size)


def _open(line: bytes, before: int) -> Sealed | None:
    found = _SEALED.fullmatch(line)
    if found is None or zlib.crc32(found.group(1), before) != int(found.group(2), 16):
        return None
    try:
        data = json.loads(found.group(1) + b"}")
    except ValueError:
        return None
    return Sealed(data, int(found.group(2), 16)) if isinstance(data, dict) else None
