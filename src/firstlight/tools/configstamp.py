"""The stamp beside generated machine configs: how they were made, so that they are made again only when that changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from firstlight.files import write_atomically

TALOSCONFIG_AGE_DAYS_MAX = 300
"""Talos issues the admin's client certificate for a year; a new one is made well before that."""

_NAME = ".generated.json"
_FORM = "1"
"""Changed whenever configs made by older code must be made anew."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """How a set of machine configs was made.

    Attributes:
        form: Which form of our own code made them.
        made_by: The tool that made them.
        made_at: When, in ISO form.
        inputs: Digest of all that they were made from.
        outputs: Digest of each file, by name.
    """

    form: str
    made_by: str
    made_at: str
    inputs: str
    outputs: Mapping[str, str]


def write_stamp(
    folder: Path, files: Sequence[Path], *, made_by: str, inputs: str, now: datetime
) -> None:
    """Write how the files of a folder were made."""
    stamp = Stamp(
        _FORM,
        made_by,
        now.isoformat(timespec="seconds"),
        inputs,
        {path.name: _digest(path) for path in files},
    )
    write_atomically(folder / _NAME, json.dumps(asdict(stamp), indent=2) + "\n")


def remove_stamp(folder: Path) -> None:
    """Remove the stamp, so that a set of which only half is written is made anew by the next run."""
    (folder / _NAME).unlink(missing_ok=True)


def why_stale(
    folder: Path, files: Sequence[Path], *, made_by: str, inputs: str, now: datetime | None
) -> str | None:
    """Say why the files of a folder have to be made again, or nothing when they still hold.

    Args:
        folder: Where the files and the stamp lie.
        files: The files that must be there.
        made_by: The tool that would make them.
        inputs: Digest of all that they would be made from.
        now: Tells how old they are; their age is not looked at when absent.
    """
    try:
        stamp = Stamp(**json.loads((folder / _NAME).read_text(encoding="utf-8")))
        age = (now - datetime.fromisoformat(stamp.made_at)) if now else timedelta(0)
        outputs = dict(stamp.outputs)
    except FileNotFoundError:
        return "they were never generated"
    except (OSError, ValueError, TypeError):
        return "the note of how they were made cannot be read"
    if stamp.inputs != inputs:
        return "the inventory, a patch or the secrets changed"
    if (stamp.form, stamp.made_by) != (_FORM, made_by):
        return f"they were made in another way ({stamp.made_by}, form {stamp.form})"
    if not timedelta(0) <= age < timedelta(days=TALOSCONFIG_AGE_DAYS_MAX):
        return (
            f"the talosconfig is of {stamp.made_at[:10]}, and its client certificate lasts a year"
        )
    changed = [
        path.name for path in files if not path.is_file() or _digest(path) != outputs.get(path.name)
    ]
    others = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return f"{changed[0]}{others} is missing, or not as it was generated" if changed else None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
