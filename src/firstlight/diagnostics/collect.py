"""Collect everything for a failure into one archive: in bounded time, in bounded size, masked, and never at the cost of the run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from firstlight.clock import Clock
from firstlight.diagnostics.archive import TOTAL_BYTES_MAX, cut, write_archive
from firstlight.diagnostics.deadline import Looking, TimeUp
from firstlight.diagnostics.failure import Failure
from firstlight.diagnostics.piece import Absent, Piece
from firstlight.diagnostics.subjects import Subject, subjects_of
from firstlight.errors import FirstlightError
from firstlight.masking import Masker

LONGEST_S = 60.0
"""All looking together. Ending a command that does not end takes ten seconds at most, writing takes none to speak of."""

RAW_CHARACTERS_MAX = 4 * 1024 * 1024
"""What is masked of one answer: masking it takes a few seconds, and nobody reads more."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What came of collecting.

    Attributes:
        path: The archive, none when it could not be written.
        pieces: How many files are in it.
        size_bytes: Of the archive.
        elapsed_s: How long it took.
        trouble: What kept it from being whole, empty when nothing did.
    """

    path: Path | None
    pieces: int
    size_bytes: int
    elapsed_s: float
    trouble: str


@dataclass(slots=True)
class _Basket:
    """What has been collected so far, masked."""

    mask: Masker
    texts: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    size_bytes: int = 0
    trouble: str = ""

    def put(self, name: str, text: str, note: str) -> None:
        text = cut(self.mask(text[:RAW_CHARACTERS_MAX]))
        size = len(text.encode(errors="replace"))
        path = _safe(self.mask(name))
        if self.size_bytes + size > TOTAL_BYTES_MAX:
            self.trouble = (
                self.trouble or f"no more than {TOTAL_BYTES_MAX // 1024 // 1024} MiB are kept"
            )
            self.leave_out(name, "the archive is full")
            return
        self.size_bytes += size
        self.texts[path] = text
        self.notes.append(f"{path}  {size} bytes  {self.mask(note)}")

    def leave_out(self, name: str, why: str) -> None:
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
    """Collect everything for a failure into one archive; whatever goes wrong is told in the result, and nothing is raised.

    Ctrl+C ends it: what is there by then is written.

    Args:
        failure: What failed.
        folder: Where the archive goes.
        environment: The whole environment of every command.
        mask: Knows every secret of the run.
        clock: Where time comes from.
        longest_s: How long all looking together may take.
    """
    started_s = clock.monotonic()
    basket = _Basket(mask)
    looking = Looking(environment, failure.target.root, mask, clock, started_s + longest_s)
    try:
        for subject in subjects_of(failure):
            _fill(basket, subject, failure, looking)
    except TimeUp:
        basket.trouble = basket.trouble or f"it was ended after {longest_s:.0f} s"
    except KeyboardInterrupt:
        basket.trouble = basket.trouble or "it was interrupted"
    elapsed_s = clock.monotonic() - started_s
    now = clock.now()
    path = folder / f"diagnostics-{now:%Y%m%dT%H%M%SZ}.tar.gz"
    try:
        texts = {
            "README.txt": _about(failure, basket, elapsed_s, f"{now:%Y-%m-%d %H:%M:%S} UTC"),
            **basket.texts,
        }
        size_bytes = write_archive(path, texts, at_s=now.timestamp())
    except (OSError, KeyboardInterrupt) as error:
        return Collected(
            None,
            0,
            0,
            elapsed_s,
            f"cannot write {path.name}: {getattr(error, 'strerror', None) or type(error).__name__}",
        )
    return Collected(path, len(texts), size_bytes, elapsed_s, basket.trouble)


def _fill(basket: _Basket, subject: Subject, failure: Failure, looking: Looking) -> None:
    """Take everything of one subject; what goes wrong with it is noted, and others do without it."""
    name = subject.__module__.rpartition(".")[2]
    try:
        for one in subject(failure, looking):
            if isinstance(one, Absent):
                basket.leave_out(one.name, one.why)
            else:
                _take(basket, one, looking)
    except TimeUp:
        raise
    except FirstlightError as error:
        # Such as a tool that is not there.
        basket.leave_out(name, error.summary)
    except Exception as error:  # noqa: BLE001 - a fault in here must not hide the failure that it is about
        basket.trouble = (
            basket.trouble or f"{name}: {type(error).__name__}: {basket.mask(str(error))}"
        )
        basket.leave_out(name, f"{type(error).__name__}: {error}")


def _take(basket: _Basket, piece: Piece, looking: Looking) -> None:
    started_s = looking.clock.monotonic()
    try:
        answer = piece.look(looking)
    except (FirstlightError, OSError) as error:
        basket.leave_out(
            piece.name, error.summary if isinstance(error, FirstlightError) else str(error)
        )
        return
    note = f"{looking.clock.monotonic() - started_s:.1f} s" + (
        f"  {answer.trouble}" if answer.trouble else ""
    )
    basket.put(
        piece.name,
        f"{answer.asked}\n\n{answer.text}" if answer.asked.startswith("$ ") else answer.text,
        note,
    )


def _about(failure: Failure, basket: _Basket, elapsed_s: float, at: str) -> str:
    titles = "\n".join(f"  {one.title} ({one.id})" for one in failure.criteria)
    lines = [
        f"Diagnostics of {failure.cluster.name} on {failure.target.name}, run {failure.run_id}, {at}",
        f"collected in {elapsed_s:.1f} s for stage {failure.stage}, in which failed:",
        basket.mask(titles),
        *([f"NOT WHOLE: {basket.trouble}"] if basket.trouble else []),
        "",
        "Only looks were taken, nothing was changed. Secrets are replaced by ********. Secrets and the values of releases are not in here;",
        "what any other object holds as plain text may be, such as the environment of a container in its description.",
        *(
            ["", "What stands in for the real thing on this target:"]
            if failure.target.stand_ins
            else []
        ),
        *(
            f"  {one.name}, for {one.stands_for}; cannot show {one.cannot_show}"
            for one in failure.target.stand_ins
        ),
        "",
        *basket.notes,
        "",
    ]
    return "\n".join(lines)


def _safe(name: str) -> str:
    """Return a name that stays within the archive's folder, whatever an object is called."""
    parts = (re.sub(r"[^A-Za-z0-9._*-]+", "-", part).lstrip(".") or "-" for part in name.split("/"))
    return "/".join(parts)
