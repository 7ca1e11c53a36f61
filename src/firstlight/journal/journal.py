"""The journal: what was begun and what came of it, on disk before it happens.

The cluster is the truth; the journal explains it, and knows when this bootstrap's first action began.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from firstlight.events import ActionBegun, ActionEnded, ActionSkipped, CriterionEnded, RunEnded, RunStarted, Stamped, Verdict

KEPT = (RunStarted, ActionBegun, ActionEnded, ActionSkipped, CriterionEnded, RunEnded)
"""What is worth a line on disk: what was changed and what was concluded, not what was looked at."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal."""

    at: str
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class History:
    """What earlier runs of this bootstrap left in the journal.

    Attributes:
        entries: Every readable line.
        damage: Why the file was set aside, empty when it was not.
        first_action_at: When the first action of this bootstrap began, none before it.
        met_at: When each criterion was first met in this bootstrap.
        unfinished: Actions that were begun and never ended: their run was killed.
    """

    entries: tuple[Entry, ...]
    damage: str
    first_action_at: datetime | None
    unfinished: tuple[str, ...]
    met_at: Mapping[str, datetime] = field(default_factory=dict)


class Journal:
    """Append events to a file, each on the disk before `record` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        """Open the file for appending."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = self.path.open("a", encoding="utf-8")
        self.path.chmod(0o600)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def record(self, stamped: Stamped) -> None:
        """Write an event and force it to the disk, if it is of a kind that is kept.

        Raises:
            OSError: It is not on the disk; then what it announces must not happen.
        """
        if self._file is None or not isinstance(stamped.event, KEPT):
            return
        line = {"at": stamped.at, "event": type(stamped.event).__name__, **_data(stamped.event)}
        self._file.write(json.dumps(line, sort_keys=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def read_history(path: Path) -> History:
    """Read what earlier runs left; a file that cannot be read is set aside beside itself, with the reason, and never trusted.

    A last line without its end was being written when its run was killed: it is cut off, everything before it holds.
    """
    if not path.exists():
        return History((), "", None, ())
    entries: list[Entry] = []
    raw = path.read_bytes()
    whole, _, torn = raw.rpartition(b"\n")
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            data = json.loads(line)
            entry = Entry(at=data.pop("at"), kind=data.pop("event"), data=data)
            datetime.fromisoformat(entry.at)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return _set_aside(path, f"line {number} is not ours ({type(error).__name__})")
        entries.append(entry)
    if torn:
        os.truncate(path, len(whole) + (1 if whole else 0))
    this = entries[_start(entries) :]
    return History(tuple(entries), "", _first_action(this), _unfinished(this), _met_at(this))


def _data(event: object) -> dict[str, Any]:
    """Return an event's fields; a run's start is kept without its criteria, which the checklist has."""
    if isinstance(event, RunStarted):
        return {"run_id": event.run_id, "cluster": event.cluster, "target": event.target, "revision": event.revision, "stage": event.stage}
    data = asdict(event)  # type: ignore[call-overload]
    return {key: value for key, value in data.items() if key != "evidence"}


def _start(entries: list[Entry]) -> int:
    """Return where the newest bootstrap starts: etcd is bootstrapped once in a cluster's life, so a second time means another cluster."""
    start, bootstrapped = 0, False
    for index, entry in enumerate(entries):
        if not str(entry.data.get("action", "")).startswith("bootstrap etcd"):
            continue
        if entry.kind == "ActionBegun" and bootstrapped:
            start, bootstrapped = index, False
        elif entry.kind == "ActionEnded" and entry.data.get("ok"):
            bootstrapped = True
    return start


def _first_action(entries: list[Entry]) -> datetime | None:
    """Return when the first action began."""
    begun = next((entry.at for entry in entries if entry.kind == "ActionBegun"), None)
    return datetime.fromisoformat(begun) if begun else None


def _met_at(entries: list[Entry]) -> dict[str, datetime]:
    """Return when each criterion was first met."""
    met: dict[str, datetime] = {}
    for entry in entries:
        if entry.kind == "CriterionEnded" and entry.data.get("verdict") in (Verdict.MET, Verdict.ALREADY_MET):
            met.setdefault(str(entry.data.get("id")), datetime.fromisoformat(entry.at))
    return met


def _unfinished(entries: list[Entry]) -> tuple[str, ...]:
    """Return the actions that were begun and never heard of again: their run was killed."""
    open_actions: dict[str, None] = {}
    for entry in entries:
        action = str(entry.data.get("action", ""))
        if entry.kind == "ActionBegun":
            open_actions[action] = None
        elif entry.kind in ("ActionEnded", "ActionSkipped"):
            open_actions.pop(action, None)
    return tuple(open_actions)


def _set_aside(path: Path, why: str) -> History:
    number = 1
    while (aside := path.with_suffix(f".damaged-{number}{path.suffix}")).exists():
        number += 1
    path.rename(aside)
    return History((), f"the journal {path.name} was set aside as {aside.name}: {why}", None, ())
