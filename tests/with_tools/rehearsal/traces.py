"""Traces of a run in machines, API server and on disk.

They prove that something changed, or that nothing did.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.rehearsals import Rehearsal

LOOKS = ("get", "list", "watch")

LAB_KEEPS = ("audit.log", "talos-calls.jsonl", "logs", "kwok", "flux", "machines-state.json")
"""Files of the lab folder that the lab's own processes write on any request."""


def mutating_talos_calls(rehearsal: Rehearsal) -> list[str]:
    """Return each call that may have changed a machine, in order."""
    lines = (rehearsal.state / "talos-calls.jsonl").read_text().splitlines()
    return [call["method"] for call in map(json.loads, lines) if call["mutating"]]


def talos_calls(rehearsal: Rehearsal) -> int:
    """Return the number of calls that the machines received."""
    return len((rehearsal.state / "talos-calls.jsonl").read_text().splitlines())


def changes_by_the_operator(rehearsal: Rehearsal) -> list[str]:
    """Return each change that the admin requested from the API server, in order."""
    log = rehearsal.state / "audit.log"
    changes = []
    for line in log.read_text().splitlines() if log.exists() else ():
        event = json.loads(line)
        # Self-reviews only ask for permissions. They are created but not stored.
        if (
            event["user"]["username"] == "admin"
            and event["verb"] not in LOOKS
            and "/selfsubject" not in event["requestURI"]
        ):
            changes.append(f"{event['verb']} {event['requestURI']} {event['stage']}")
    return changes


def looks_by_the_operator(rehearsal: Rehearsal) -> int:
    """Return how often the admin read from the API server.

    Zero may also mean that nothing was logged.
    """
    events = map(json.loads, (rehearsal.state / "audit.log").read_text().splitlines())
    return sum(event["user"]["username"] == "admin" and event["verb"] in LOOKS for event in events)


def files_under(folder: Path, *, but: tuple[str, ...] = ()) -> dict[str, tuple[int, int, int]]:
    """Return mode, size and modification time of every file and folder.

    A folder's time changes when a file is added or removed.
    """
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if name.parts[0] not in but and not path.is_symlink():
            seen = path.stat()
            found[str(name)] = (
                seen.st_mode,
                seen.st_size if path.is_file() else 0,
                seen.st_mtime_ns,
            )
    return found
