"""Collect diagnostics into one archive: bounded in time and size, masked, without raising."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from firstlight.clock import Clock
from firstlight.diagnostics.archive import TOTAL_BYTES_MAX, Entry, Omitted, cut, write_archive
from firstlight.diagnostics.deadline import Deadline, TimeUp
from firstlight.diagnostics.failure import Failure
from firstlight.diagnostics.subjects import Subject, subjects_of
from firstlight.errors import FirstlightError
from firstlight.masking import Masker

LONGEST_S = 60.0
"""Time for all commands together; terminating the last one takes ten seconds at most."""

RAW_CHARACTERS_MAX = 4 * 1024 * 1024
"""Masked of one answer: that takes a few seconds, and nobody reads more."""


@dataclass(frozen=True, slots=True)
class Collected:
    """The result of collecting.

    Attributes:
        path: The archive, or None if it could not be written.
        pieces: The number of files in it.
        size_bytes: The size of the archive.
        elapsed_s: How long collecting took.
        trouble: Why the archive is incomplete; empty if it is complete.
    """

    path: Path | None
    pieces: int
    size_bytes: int
    elapsed_s: float
    trouble: str


@dataclass(slots=True)
class _Contents:
    """What has been collected so far, masked."""

    mask: Masker
    texts: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    size_bytes: int = 0
    trouble: str = ""

    def add(self, name: str, text: str, note: str) -> None:
        text = cut(self.mask(text[:RAW_CHARACTERS_MAX]))
        size = len(text.encode(errors="replace"))
        path = _safe(self.mask(name))
        if self.size_bytes + size > TOTAL_BYTES_MAX:
            self.trouble = (
                self.trouble or f"no more than {TOTAL_BYTES_MAX // 1024 // 1024} MiB are kept"
            )
            self.omit(name, "the archive is full")
            return
        self.size_bytes += size
        self.texts[path] = text
        self.notes.append(f"{path}  {size} bytes  {self.mask(note)}")

    def omit(self, name: str, why: str) -> None:
        self.notes.append(f"{_safe(self.mask(name))}  NOT COLLECTED: {self.mask(why)}")


def collect(
    failure: Failure,
    folder: Path,
    *,
    environment: dict[str, str],
    mask: Masker,
    clock: Clock,
    longest_s: float = LONGEST_S,
) -> Collected:
    """Collect the diagnostics of a failure into one archive.

    Nothing is raised; the result says what went wrong. Ctrl+C stops collecting, and what has been
    collected by then is written.

    Args:
        failure: What failed.
        folder: Where the archive is written.
        environment: The whole environment of every command.
        mask: Knows every secret of the run.
        clock: The source of time.
        longest_s: Time limit for all commands together.
    """
    started_s = clock.monotonic()
    contents = _Contents(mask)
    deadline = Deadline(environment, failure.target.root, mask, clock, started_s + longest_s)
    try:
        for subject in subjects_of(failure):
            _add_subject(contents, subject, failure, deadline)
    except TimeUp:
        contents.trouble = contents.trouble or f"it was ended after {longest_s:.0f} s"
    except KeyboardInterrupt:
        contents.trouble = contents.trouble or "it was interrupted"
    elapsed_s = clock.monotonic() - started_s
    now = clock.now()
    path = folder / f"diagnostics-{now:%Y%m%dT%H%M%SZ}.tar.gz"
    try:
        about = _about(failure, contents, elapsed_s, f"{now:%Y-%m-%d %H:%M:%S} UTC")
        texts = {"README.txt": about, **contents.texts}
        size_bytes = write_archive(path, texts, at_s=now.timestamp())
    except (OSError, KeyboardInterrupt) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        return Collected(None, 0, 0, elapsed_s, f"cannot write {path.name}: {why}")
    return Collected(path, len(texts), size_bytes, elapsed_s, contents.trouble)


def _add_subject(
    contents: _Contents, subject: Subject, failure: Failure, deadline: Deadline
) -> None:
    """Add all entries of a subject; whatever goes wrong is noted and does not affect the others."""
    name = subject.__module__.rpartition(".")[2]
    try:
        for one in subject(failure, deadline):
            if isinstance(one, Omitted):
                contents.omit(one.name, one.why)
            else:
                _add_entry(contents, one, deadline)
    except TimeUp:
        raise
    except FirstlightError as error:
        # For example, a missing tool.
        contents.omit(name, error.summary)
    except Exception as error:  # noqa: BLE001 - a bug in here must not hide the failure itself
        contents.trouble = (
            contents.trouble or f"{name}: {type(error).__name__}: {contents.mask(str(error))}"
        )
        contents.omit(name, f"{type(error).__name__}: {error}")


def _add_entry(contents: _Contents, entry: Entry, deadline: Deadline) -> None:
    started_s = deadline.clock.monotonic()
    try:
        answer = entry.read(deadline)
    except (FirstlightError, OSError) as error:
        contents.omit(
            entry.name, error.summary if isinstance(error, FirstlightError) else str(error)
        )
        return
    took = f"{deadline.clock.monotonic() - started_s:.1f} s"
    contents.add(
        entry.name,
        f"{answer.command}\n\n{answer.text}" if answer.command else answer.text,
        f"{took}  {answer.trouble}" if answer.trouble else took,
    )


def _about(failure: Failure, contents: _Contents, elapsed_s: float, at: str) -> str:
    titles = "\n".join(f"  {one.title} ({one.id})" for one in failure.criteria)
    stand_ins = [
        f"  {one.name}, for {one.stands_for}; cannot show {one.cannot_show}"
        for one in failure.target.stand_ins
    ]
    where = f"{failure.cluster.name} on {failure.target.name}"
    lines = [
        f"Diagnostics of {where}, run {failure.run_id}, {at}",
        f"Collected in {elapsed_s:.1f} s for stage {failure.stage}. These criteria failed:",
        contents.mask(titles),
        *([f"NOT WHOLE: {contents.trouble}"] if contents.trouble else []),
        "",
        "All commands were read-only. Secrets are replaced by ********. Secret objects and the",
        "values of releases are not included. Plain text in other objects is, such as the",
        "environment of a container in its description.",
        *(["", "Stand-ins on this target:", *stand_ins] if stand_ins else []),
        "",
        *contents.notes,
        "",
    ]
    return "\n".join(lines)


def _safe(name: str) -> str:
    """Return a name that stays within the archive's folder, whatever an object is called."""
    parts = (re.sub(r"[^A-Za-z0-9._*-]+", "-", part).lstrip(".") or "-" for part in name.split("/"))
    return "/".join(parts)
