"""The archive of diagnostics: its entries, how each is filled, and how it is written."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from firstlight.diagnostics.deadline import Deadline, tail
from firstlight.files import write_atomically

ENTRY_BYTES_MAX = 512 * 1024
TOTAL_BYTES_MAX = 8 * 1024 * 1024
KEPT = 5
"""Archives that are kept beside the report; the oldest are removed."""

PATTERN = "diagnostics-*.tar.gz"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an entry holds: the command, its output, and what went wrong when it ran."""

    command: str
    text: str
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the archive.

    Attributes:
        name: Its path in the archive.
        read: Returns its content.
    """

    name: str
    read: Callable[[Deadline], Answer]


@dataclass(frozen=True, slots=True)
class Omitted:
    """A file that the archive does not hold, and the reason, so that nobody searches for it."""

    name: str
    why: str


Entries = Iterator[Entry | Omitted]
"""Entries, most important first; later ones may depend on the answers of earlier ones."""


def output_of(name: str, *command: str) -> Entry:
    """Return an entry with the output of a command."""
    return Entry(name, lambda deadline: _answer(deadline, command))


def tail_of(name: str, path: Path) -> Entry:
    """Return an entry with the end of a file."""
    return Entry(name, lambda _: Answer("", tail(path)))


def text_entry(name: str, text: str) -> Entry:
    """Return an entry with a text."""
    return Entry(name, lambda _: Answer("", text))


def cut(text: str, limit: int = ENTRY_BYTES_MAX) -> str:
    """Cut the middle out of a text that is too long; its beginning and its end say most."""
    content = text.encode(errors="replace")
    if len(content) <= limit:
        return text
    head, end = limit // 4, limit - limit // 4
    left_out = len(content) - head - end
    return (
        f"{content[:head].decode(errors='ignore')}\n"
        f"... {left_out} bytes are left out here ...\n"
        f"{content[-end:].decode(errors='ignore')}"
    )


def write_archive(path: Path, texts: Mapping[str, str], *, at_s: float) -> int:
    """Write an archive, remove the oldest ones beside it, and return its size in bytes.

    Raises:
        OSError: The disk is full, or the folder cannot be written to.
    """
    buffer = io.BytesIO()
    folder = path.name.removesuffix(".tar.gz")
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in texts.items():
            content = text.encode(errors="replace")
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o600, at_s
            archive.addfile(entry, io.BytesIO(content))
    write_atomically(path, buffer.getvalue())
    for old in sorted(path.parent.glob(PATTERN))[:-KEPT]:
        with suppress(OSError):
            old.unlink()
    return len(buffer.getbuffer())


def _answer(deadline: Deadline, command: tuple[str, ...]) -> Answer:
    result = deadline.run(command)
    text = result.stdout + (
        f"\n--- standard error ---\n{result.stderr}" if result.stderr.strip() else ""
    )
    if result.timed_out:
        return Answer(f"$ {result.command}", text, f"no answer within {result.elapsed_s:.0f} s")
    return Answer(f"$ {result.command}", text, "" if result.ok else f"exit code {result.exit_code}")
