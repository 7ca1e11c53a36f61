"""The stamp of generated machine configs, which shows whether they must be regenerated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from firstlight.files import write_atomically

TALOSCONFIG_AGE_DAYS_MAX = 300
"""Talos issues the admin's client certificate for a year; it is renewed well before."""

_NAME = ".generated.json"
_FORM = "1"
"""Increased when configs from older code must be regenerated."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """How a set of machine configs was generated.

    Attributes:
        form: The version of our own code.
        made_by: The tool that generated them.
        made_at: When they were generated, in ISO format.
        inputs: The digest of all inputs.
        outputs: The digest of each file, by name.
    """

    form: str
    made_by: str
    made_at: str
    inputs: str
    outputs: Mapping[str, str]


def write_stamp(
    folder: Path, files: Sequence[Path], *, made_by: str, inputs: str, now: datetime
) -> None:
    """Record how the files of a folder were generated."""
    stamp = Stamp(
        _FORM,
        made_by,
        now.isoformat(timespec="seconds"),
        inputs,
        {path.name: _digest(path) for path in files},
    )
    write_atomically(folder / _NAME, json.dumps(asdict(stamp), indent=2) + "\n")


def remove_stamp(folder: Path) -> None:
    """Remove the stamp, so that the next run regenerates a half-written set."""
    (folder / _NAME).unlink(missing_ok=True)


def why_stale(
    folder: Path, files: Sequence[Path], *, made_by: str, inputs: str, now: datetime | None
) -> str | None:
    """Return why the files of a folder must be regenerated, or None if they are current.

    Args:
        folder: The folder of the files and the stamp.
        files: The required files.
        made_by: The tool that would generate them.
        inputs: The digest of all inputs.
        now: The current time; without it, the age of the files is ignored.
    """
    try:
        stamp = Stamp(**json.loads((folder / _NAME).read_text(encoding="utf-8")))
        age = (now - datetime.fromisoformat(stamp.made_at)) if now else timedelta(0)
        outputs = dict(stamp.outputs)
    except FileNotFoundError:
        return "they were never generated"
    except (OSError, ValueError, TypeError):
        return "the record of how they were generated cannot be read"
    if stamp.inputs != inputs:
        return "the inventory, a patch or the secrets changed"
    if (stamp.form, stamp.made_by) != (_FORM, made_by):
        return f"they were generated in another way ({stamp.made_by}, form {stamp.form})"
    if not timedelta(0) <= age < timedelta(days=TALOSCONFIG_AGE_DAYS_MAX):
        return (
            f"the talosconfig is from {stamp.made_at[:10]}, and its client certificate lasts a year"
        )
    changed = [
        path.name for path in files if not path.is_file() or _digest(path) != outputs.get(path.name)
    ]
    others = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return f"{changed[0]}{others} is missing or was changed" if changed else None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
