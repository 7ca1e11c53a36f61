"""What earlier runs left in the journal, as far as it can be trusted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firstlight.clock import Uptime
from firstlight.events import DONE_BEFORE, Verdict
from firstlight.journal.line import sealed_lines

BOOTSTRAP = "bootstrap etcd"
"""How the title of the action begins that makes a cluster another one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal.

    Attributes:
        at: When, by the wall clock as it is set now; a clock that was set since makes it another time than the line itself says.
        kind: The event.
        data: Its fields.
    """

    at: datetime
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class History:
    """What earlier runs of this bootstrap left in the journal.

    Attributes:
        entries: Every line that can be trusted.
        damage: What could not, and what became of it; empty when all could.
        first_action_at: When the first action of this bootstrap began, none before it.
        met_at: When each criterion was first met in this bootstrap.
        unfinished: Actions that were begun and never ended: their run was killed.
    """

    entries: tuple[Entry, ...]
    damage: str
    first_action_at: datetime | None
    unfinished: tuple[str, ...]
    met_at: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def was_bootstrapped(self) -> bool:
        """Whether a bootstrap of etcd is on record."""
        return any(
            entry.kind == "ActionEnded"
            and entry.data.get("ok")
            and str(entry.data.get("action", "")).startswith(BOOTSTRAP)
            for entry in self.entries
        )


def read_history(
    path: Path, *, mend: bool = True, now: datetime | None = None, uptime: Uptime | None = None
) -> History:
    """Read what earlier runs left, as far as its seals fit; what follows is never trusted, and said.

    A last line without its end was being written when its run was killed: it is cut off. Any other damage means that something else
    than us wrote there: the whole file is set aside beside itself, and a new one begins with the lines that can be trusted.

    Args:
        path: The journal.
        mend: Whether to cut off or set aside; without, what cannot be trusted is only said.
        now: The wall clock; the machine's when absent.
        uptime: The same moment by the clock that nobody sets.

    Raises:
        OSError: The file cannot be read, or not be set aside.
    """
    now, uptime = now or datetime.now(UTC), uptime or Uptime.now()
    if not path.exists():
        return History((), "", None, ())
    content = path.read_bytes()
    read = sealed_lines(content)
    damage = ""
    if read.damage:
        where = (
            f"was set aside as {_set_aside(path, content, content[: read.size])}"
            if mend
            else "is damaged"
        )
        damage = f"the journal {path.name} {where}: {read.damage}; {_kept(len(read.lines))}"
    elif read.torn:
        damage = f"the journal {path.name} ends with half a line ({read.torn} bytes), which is cut off: its run was killed while it wrote"
        if mend:
            os.truncate(path, read.size)
    entries = [_entry(line.data, now, uptime) for line in read.lines]
    this = entries[_start(entries) :]
    return History(tuple(entries), damage, _first_action(this), _unfinished(this), _met_at(this))


def _entry(data: dict[str, Any], now: datetime, uptime: Uptime) -> Entry:
    written = Uptime(str(data.pop("boot")), float(data.pop("up_s")))
    said = datetime.fromisoformat(data.pop("at"))
    return Entry(written.before(now, uptime) or said, data.pop("event"), data)


def _start(entries: list[Entry]) -> int:
    """Return where the newest bootstrap starts: etcd is bootstrapped once in a cluster's life, so a second time means another cluster."""
    start, begun, bootstrapped = 0, 0, False
    for index, entry in enumerate(entries):
        if not str(entry.data.get("action", "")).startswith(BOOTSTRAP):
            continue
        if entry.kind == "ActionBegun":
            begun = index
        elif entry.kind == "ActionEnded" and entry.data.get("ok"):
            if bootstrapped and entry.data.get("detail") != DONE_BEFORE:
                start = begun
            bootstrapped = True
    return start


def _first_action(entries: list[Entry]) -> datetime | None:
    """Return when the first action began."""
    return next((entry.at for entry in entries if entry.kind == "ActionBegun"), None)


def _met_at(entries: list[Entry]) -> dict[str, datetime]:
    """Return when each criterion was first met."""
    met: dict[str, datetime] = {}
    for entry in entries:
        if entry.kind == "CriterionEnded" and entry.data.get("verdict") in (
            Verdict.MET,
            Verdict.ALREADY_MET,
        ):
            met.setdefault(str(entry.data.get("id")), entry.at)
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


def _kept(lines: int) -> str:
    if not lines:
        return "nothing of it is trusted"
    return f"what follows is not trusted, the {lines} {'line' if lines == 1 else 'lines'} before it {'is' if lines == 1 else 'are'}"


def _set_aside(path: Path, content: bytes, trusted: bytes) -> str:
    """Copy the whole file beside itself, then put what can be trusted in its place; killed in between, it is done again."""
    number = 1
    while (aside := path.with_suffix(f".damaged-{number}{path.suffix}")).exists():
        number += 1
    for place, part in ((aside, content), (path.with_name(f".{path.name}.fresh"), trusted)):
        place.touch(mode=0o600)
        place.write_bytes(part)
    path.with_name(f".{path.name}.fresh").replace(path)
    return aside.name
