"""What the journal says about the current bootstrap: a fold over its events, from disk and live.

The same fold reads what earlier runs left and then hears the events of this run, so there is one
answer to when the bootstrap began and what was met since.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firstlight.clock import Uptime
from firstlight.events import (
    DONE_BEFORE,
    ActionBegun,
    ActionEnded,
    ActionSkipped,
    CriterionEnded,
    Event,
    Stamped,
    Verdict,
)
from firstlight.files import write_atomically
from firstlight.journal.journal import Read, require_usable, sealed_lines, unusable

BOOTSTRAP = "bootstrap etcd"
"""How the title of the action begins that turns machines into a new cluster."""


@dataclass(slots=True)
class BootstrapRecord:
    """What is on record about the current bootstrap; `hear` adds one event.

    Etcd is bootstrapped once in a cluster's life. A second successful bootstrap means that the
    machines were reset: everything on record before it belongs to another cluster.

    Attributes:
        first_action_at: When the first action of this bootstrap began, None before it.
        met_at: When each criterion was first met in this bootstrap.
        was_bootstrapped: Whether a successful bootstrap of etcd is on record.
        open_actions: The actions that began and did not end, in order.
        began_unrecorded: Whether etcd was found bootstrapped, and no run recorded that it began to
            bootstrap it: the first action is not on record, whatever else is.
    """

    first_action_at: datetime | None = None
    met_at: dict[str, datetime] = field(default_factory=dict)
    was_bootstrapped: bool = False
    open_actions: dict[str, None] = field(default_factory=dict)
    began_unrecorded: bool = False
    _bootstrap_begun: bool = False
    _newest: BootstrapRecord | None = None
    """The record of what may turn out to be a new bootstrap, from its action's start."""

    @property
    def unfinished(self) -> tuple[str, ...]:
        """The actions that began and never ended: their run was killed."""
        return tuple(self.open_actions)

    def hear(self, stamped: Stamped) -> None:
        """Add one event."""
        self.add(datetime.fromisoformat(stamped.at), stamped.event)

    def add(self, at: datetime, event: Event) -> None:
        """Add one event that happened at this time."""
        if _bootstraps(event) and isinstance(event, ActionBegun):
            self._newest = BootstrapRecord()
        for record in (self, self._newest):
            if record is not None:
                record.take(at, event)
        if _bootstraps(event) and isinstance(event, ActionEnded) and event.ok:
            if self.was_bootstrapped and event.detail != DONE_BEFORE and self._newest is not None:
                self.first_action_at = self._newest.first_action_at
                self.met_at = dict(self._newest.met_at)
                self.open_actions = dict(self._newest.open_actions)
                self.began_unrecorded = False
            self.was_bootstrapped = True

    def take(self, at: datetime, event: Event) -> None:
        """Add one event of the recorded bootstrap."""
        match event:
            case ActionBegun():
                self.first_action_at = self.first_action_at or at
                self.open_actions[event.action] = None
                self._bootstrap_begun = self._bootstrap_begun or _bootstraps(event)
            case ActionEnded() | ActionSkipped():
                self.open_actions.pop(event.action, None)
                if _bootstraps(event) and not self._bootstrap_begun:
                    # It was bootstrapped, by whom is unknown; a bootstrap after this is another's.
                    self.began_unrecorded = self.was_bootstrapped = True
            case CriterionEnded() if event.verdict.holds:
                self.met_at.setdefault(event.id, at)


@dataclass(frozen=True, slots=True)
class History:
    """What earlier runs left in the journal.

    Attributes:
        record: The current bootstrap, as far as the journal can be trusted.
        damage: What cannot be trusted and what was done about it; empty if all of it can.
        events: Every trusted event that the record was built from, with its time.
    """

    record: BootstrapRecord = field(default_factory=BootstrapRecord)
    damage: str = ""
    events: tuple[tuple[datetime, Event], ...] = ()


def read_history(
    path: Path, *, repair: bool = True, now: datetime | None = None, uptime: Uptime | None = None
) -> History:
    """Read what earlier runs left, up to the first line whose seal does not match.

    An incomplete last line was being written when its run was killed: it is cut off. Any other
    damage means that something else wrote to the file: the file is set aside next to the journal,
    and a new journal starts with the lines that can be trusted.

    Args:
        path: The journal.
        repair: Whether to cut off or set aside; if False, damage is only reported.
        now: The wall clock, the machine's by default.
        uptime: The same moment by the clock that is never set.

    Raises:
        JournalUnwritable: The file cannot be read or set aside.
    """
    now, uptime = now or datetime.now(UTC), uptime or Uptime.now()
    require_usable(path, writing=repair)
    try:
        read, damage = _read(path, repair=repair) if path.exists() else (Read((), 0, "", 0), "")
    except OSError as error:
        raise unusable(path, error) from error
    events = tuple(each for line in read.lines for each in _events(line.data, now, uptime))
    record = BootstrapRecord()
    for at, event in events:
        record.add(at, event)
    return History(record, damage, events)


def _read(path: Path, *, repair: bool) -> tuple[Read, str]:
    """Return what can be trusted of the file, and what was done about the rest, in words."""
    content = path.read_bytes()
    read = sealed_lines(content)
    if read.damage:
        trusted = content[: read.size]
        where = f"was set aside as {_set_aside(path, content, trusted)}" if repair else "is damaged"
        damage = f"the journal {path.name} {where}: {read.damage}; {_kept(len(read.lines))}"
        return read, damage
    if not read.torn:
        return read, ""
    if repair:
        os.truncate(path, read.size)
    return read, (
        f"the journal {path.name} ends with an incomplete line ({read.torn} bytes), "
        "which is cut off: its run was killed while writing it"
    )


def _bootstraps(event: Event) -> bool:
    kinds = ActionBegun | ActionEnded | ActionSkipped
    return isinstance(event, kinds) and event.action.startswith(BOOTSTRAP)


def _events(
    data: dict[str, Any], now: datetime, uptime: Uptime
) -> Iterator[tuple[datetime, Event]]:
    """Yield the event of a line, if it is of a kind that the record needs.

    Its time is by the wall clock as it is set now: the line's own time is wrong if the clock was
    set since, and the uptime tells by how much, within one boot.
    """
    written = Uptime(str(data.get("boot", "")), float(data.get("up_s", 0.0)))
    at = written.before(now, uptime) or datetime.fromisoformat(str(data["at"]))
    criterion, action = str(data.get("criterion", "")), str(data.get("action", ""))
    match data.get("event"):
        case "ActionBegun":
            yield at, ActionBegun(criterion, action, str(data.get("reason", "")))
        case "ActionEnded":
            ok, detail = bool(data.get("ok")), str(data.get("detail", ""))
            elapsed_s = float(data.get("elapsed_s", 0.0))
            yield at, ActionEnded(criterion, action, ok=ok, elapsed_s=elapsed_s, detail=detail)
        case "ActionSkipped":
            yield at, ActionSkipped(criterion, action)
        case "CriterionEnded" if data.get("verdict") in list(Verdict):
            identity, verdict = str(data.get("id", "")), Verdict(data["verdict"])
            yield at, CriterionEnded(identity, verdict, acting_s=0.0, waiting_s=0.0)


def _kept(lines: int) -> str:
    if not lines:
        return "nothing in it is trusted"
    before = f"the {lines} lines before it are" if lines > 1 else "the line before it is"
    return f"what follows is not trusted, {before}"


def _set_aside(path: Path, content: bytes, trusted: bytes) -> str:
    """Copy the whole file aside, then replace it by what can be trusted.

    If the run is killed in between, the next one does it again.
    """
    number = 1
    while (aside := path.with_suffix(f".damaged-{number}{path.suffix}")).exists():
        number += 1
    for place, part in ((aside, content), (path, trusted)):
        write_atomically(place, part, mode=0o600)
    return aside.name
