"""The journal: what was begun and what came of it, on disk before it happens.

The cluster is the truth; the journal explains it, and knows when this bootstrap's first action began.
"""

from __future__ import annotations

import os
from dataclasses import asdict
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
from firstlight.journal.line import Sealed, seal, sealed_lines

KEPT = (RunStarted, ActionBegun, ActionEnded, ActionSkipped, CriterionEnded, RunEnded)
"""What is worth a line on disk: what was changed and what was concluded, not what was looked at."""


class Journal:
    """Append events to a file, each on the disk before `record` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self._seal = 0

    def __enter__(self) -> Self:
        """Open the file for appending.

        Raises:
            JournalUnwritable: It cannot be opened; then nothing may be begun.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(
                self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
            )
            os.fchmod(self._file, 0o600)
            # Not only the file: its name too must outlive a loss of power.
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
        """Write an event and force it to the disk, if it is of a kind that is kept.

        Raises:
            JournalUnwritable: It is not on the disk; then what it announces must not happen.
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
            # Half a line would spoil the next one, and what was not begun must not look as if it were.
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


def _unwritable(path: Path, error: OSError) -> JournalUnwritable:
    return JournalUnwritable(
        f"cannot write the journal {path}: {error.strerror or error}",
        next_step=f"make room, or let this user write there (`df {path.parent}`, `ls -ld {path.parent}`); then the same command again",
    )


def _data(event: object) -> dict[str, Any]:
    """Return an event's fields; a run's start is kept without its criteria, which the checklist has."""
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
