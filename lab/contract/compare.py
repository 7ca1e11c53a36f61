"""Compare answers: they must be equal, or the difference must be listed with its reason."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from lab.contract.answers import Answer

DIFFERENCES = Path(__file__).with_name("differences.yaml")


@dataclass(frozen=True, slots=True)
class Difference:
    """A known difference between simulated and real machines.

    Attributes:
        name: Its name.
        calls: The calls it may appear in, as `state/call` with wildcards.
        real: Patterns of whole lines that only real machines may print.
        simulated: Patterns of whole lines that only simulated machines may print.
        reason: The reason, for people.
        by_chance: Whether it may be absent.
    """

    name: str
    calls: tuple[str, ...]
    real: tuple[str, ...]
    simulated: tuple[str, ...]
    reason: str
    by_chance: bool = False

    def covers(self, call: str, side: str, line: str) -> bool:
        """Report whether it explains a line that only one side has."""
        patterns = self.real if side == "-" else self.simulated
        return any(fnmatchcase(call, wanted) for wanted in self.calls) and any(
            re.fullmatch(pattern, line) for pattern in patterns
        )


@cache
def differences() -> tuple[Difference, ...]:
    """Return the known differences."""
    read = yaml.safe_load(DIFFERENCES.read_text(encoding="utf-8"))
    return tuple(_difference(name, entry) for name, entry in read["differences"].items())


def _difference(name: str, entry: dict[str, Any]) -> Difference:
    calls, real, simulated = (tuple(entry.get(key, ())) for key in ("calls", "real", "simulated"))
    return Difference(
        name,
        calls,
        real,
        simulated,
        " ".join(entry["reason"].split()),
        by_chance=entry.get("by chance", False),
    )


@cache
def not_captured() -> dict[str, str]:
    """Return the states and `state/call`s that cannot be captured in containers, with reasons."""
    return {
        name: " ".join(reason.split())
        for name, reason in yaml.safe_load(DIFFERENCES.read_text(encoding="utf-8"))[
            "not captured"
        ].items()
    }


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of comparing two answers.

    Attributes:
        unexplained: Diff lines that no known difference explains; `-` real, `+` simulated.
        used: The differences that explain the other lines.
        diff: The whole diff.
    """

    unexplained: tuple[str, ...]
    used: frozenset[str]
    diff: str


def compare(
    call: str, real: Answer, simulated: Answer, listed: Sequence[Difference] | None = None
) -> Comparison:
    """Compare both answers to a call, `state/name`. The default differences are the project's."""
    listed = differences() if listed is None else listed
    before, after = lines(real), lines(simulated)
    unexplained, used = [], set()
    for line in difflib.ndiff(before, after):
        side, text = line[0], line[2:]
        if side not in "+-":
            continue
        explained = next(
            (difference.name for difference in listed if difference.covers(call, side, text)), None
        )
        if explained is None:
            unexplained.append(f"{side} {text}")
        else:
            used.add(explained)
    diff = "\n".join(difflib.unified_diff(before, after, "real", "simulated", lineterm="", n=20))
    return Comparison(tuple(unexplained), frozenset(used), diff)


def lines(answer: Answer) -> list[str]:
    """Return an answer as the lines that are compared."""
    return list(_said(answer))


def _said(answer: Answer) -> Iterator[str]:
    yield "does not end" if answer.exit is None else f"exit {answer.exit}"
    yield f"codes {' '.join(answer.codes) or 'none'}"
    for name, text in (("stdout", answer.stdout), ("stderr", answer.stderr)):
        yield from (f"{name}: {line}" for line in text.splitlines())
