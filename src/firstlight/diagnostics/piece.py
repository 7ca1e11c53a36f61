"""A piece of diagnostics: one file of the archive, and the look that fills it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from firstlight.diagnostics.deadline import Looking


@dataclass(frozen=True, slots=True)
class Answer:
    """What a look brought: what was asked, what was said, and what went wrong with the asking."""

    asked: str
    text: str
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of the archive.

    Attributes:
        name: Where it lies in the archive.
        look: Fills it.
    """

    name: str
    look: Callable[[Looking], Answer]


@dataclass(frozen=True, slots=True)
class Absent:
    """What is not collected, and why: nobody shall look for it, or take silence for an answer."""

    name: str
    why: str


Found = Iterator[Piece | Absent]
"""Pieces, in the order of their worth; a later one may depend on what an earlier one said."""


def asking(name: str, *command: str) -> Piece:
    """Return the piece that holds what one command says."""
    return Piece(name, lambda looking: _answer(looking, command))


def reading(name: str, path: Path) -> Piece:
    """Return the piece that holds the end of a file."""
    return Piece(name, lambda looking: Answer(f"the end of {path}", looking.end_of(path)))


def saying(name: str, text: str) -> Piece:
    """Return the piece that holds a text."""
    return Piece(name, lambda _: Answer("", text))


def _answer(looking: Looking, command: tuple[str, ...]) -> Answer:
    result = looking.ask(command)
    text = result.stdout + (
        f"\n--- standard error ---\n{result.stderr}" if result.stderr.strip() else ""
    )
    if result.timed_out:
        return Answer(f"$ {result.command}", text, f"no answer within {result.elapsed_s:.0f} s")
    return Answer(f"$ {result.command}", text, "" if result.ok else f"exit code {result.exit_code}")
