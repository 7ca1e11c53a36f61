"""What earlier runs left in a report folder, a line for each, so that a run can be compared with them.

A run's line is made when the next run begins, from the report that it left: so a killed run has one as well.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from firstlight.report.files import replace_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HISTORY: Final = "history.jsonl"

KEPT: Final = 100
"""Runs that are remembered: a line is about eight kilobytes."""


@dataclass(frozen=True, slots=True)
class PastCriterion:
    """A criterion as an earlier run left it."""

    word: str
    took_s: float


@dataclass(frozen=True, slots=True)
class PastRun:
    """An earlier run.

    Attributes:
        whole: Whether it was a bootstrap from its first action to its end: no single stage, and nothing begun by a run before it.
        verified_after_s: Seconds from the bootstrap's first action to all verified, none if it did not come to that.
    """

    run_id: str
    cluster: str
    target: str
    revision: str
    started_at: str
    plan: bool
    whole: bool
    verified_after_s: float | None
    criteria: Mapping[str, PastCriterion]


def remember(folder: Path) -> tuple[PastRun, ...]:
    """Return the earlier runs of a report folder, oldest first, and add the one whose report still lies there.

    Raises:
        OSError: The folder cannot be written.
    """
    lines = _lines(folder / HISTORY)
    last = _reduced(folder / "report.json")
    if last is not None and last["run_id"] not in {line["run_id"] for line in lines}:
        lines = [*lines, last][-KEPT:]
        replace_text(
            folder / HISTORY, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        )
    return tuple(_past(line) for line in lines)


def is_whole(*, stage: str, started_at: str, first_action_at: str) -> bool:
    """Report whether a run was a whole bootstrap: times of its steps mean something only then."""
    if stage or not first_action_at or not started_at:
        return False
    # The first action is known to the second.
    return datetime.fromisoformat(first_action_at) >= datetime.fromisoformat(started_at).replace(
        microsecond=0
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        written = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
    return [line for text in written if (line := _ours(text)) is not None]


def _ours(text: str) -> dict[str, Any] | None:
    # History only tells: a line that cannot be read is left out, and never stops a run.
    try:
        line: dict[str, Any] = json.loads(text)
        _past(line)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return line


def _reduced(report: Path) -> dict[str, Any] | None:
    """Return a report as a line of history, or none where there is no report of a run."""
    try:
        extra = json.loads(report.read_text(encoding="utf-8"))["extra"]
        head, timing = extra["head"], extra["timing"]
        line: dict[str, Any] = {
            key: head[key]
            for key in ("run_id", "cluster", "target", "revision", "started_at", "plan", "stage")
        }
        line |= {key: timing[key] for key in ("first_action_at", "verified_after_s")}
        line["criteria"] = {
            one["id"]: [one["word"], round(one["acting_s"] + one["waiting_s"], 3)]
            for one in extra["criteria"]
        }
        _past(line)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return line if line["run_id"] else None


def _past(line: Mapping[str, Any]) -> PastRun:
    verified_s = line["verified_after_s"]
    return PastRun(
        run_id=str(line["run_id"]),
        cluster=str(line["cluster"]),
        target=str(line["target"]),
        revision=str(line["revision"]),
        started_at=str(line["started_at"]),
        plan=bool(line["plan"]),
        whole=is_whole(
            stage=line["stage"],
            started_at=line["started_at"],
            first_action_at=line["first_action_at"],
        ),
        verified_after_s=None if verified_s is None else float(verified_s),
        criteria={
            key: PastCriterion(str(word), float(took_s))
            for key, (word, took_s) in line["criteria"].items()
        },
    )
