"""Comparing answers: everything is the same, or it is a difference that is listed with its reason."""

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
    """Something in which the simulated machines are honestly not like the real ones.

    Attributes:
        name: What it is called.
        calls: The calls that it may show in, `state/call`, with wildcards.
        real: Patterns of whole lines that only the real machines may say.
        simulated: Patterns of whole lines that only the simulated ones may say.
        reason: Why it is so, for people.
        by_chance: Whether it may stay away.
    """

    name: str
    calls: tuple[str, ...]
    real: tuple[str, ...]
    simulated: tuple[str, ...]
    reason: str
    by_chance: bool = False

    def covers(self, call: str, side: str, line: str) -> bool:
        """Whether it explains a line that one side alone has."""
        patterns = self.real if side == "-" else self.simulated
        return any(fnmatchcase(call, wanted) for wanted in self.calls) and any(
            re.fullmatch(pattern, line) for pattern in patterns
        )


@cache
def differences() -> tuple[Difference, ...]:
    """Return the honest differences."""
    read = yaml.safe_load(DIFFERENCES.read_text(encoding="utf-8"))
    return tuple(_difference(name, said) for name, said in read["differences"].items())


def _difference(name: str, said: dict[str, Any]) -> Difference:
    calls, real, simulated = (tuple(said.get(key, ())) for key in ("calls", "real", "simulated"))
    return Difference(
        name,
        calls,
        real,
        simulated,
        " ".join(said["reason"].split()),
        by_chance=said.get("by chance", False),
    )


@cache
def not_captured() -> dict[str, str]:
    """Return what real machines in containers cannot be asked, `state/call` or a state, and why."""
    return {
        name: " ".join(reason.split())
        for name, reason in yaml.safe_load(DIFFERENCES.read_text(encoding="utf-8"))[
            "not captured"
        ].items()
    }


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of comparing two answers.

    Attributes:
        unexplained: The lines of a diff that no difference explains, `-` real, `+` simulated.
        used: The differences that explain the others.
        diff: The whole diff.
    """

    unexplained: tuple[str, ...]
    used: frozenset[str]
    diff: str


def compare(
    call: str, real: Answer, simulated: Answer, listed: Sequence[Difference] | None = None
) -> Comparison:
    """Compare what both said to a call, `state/name`; the listed differences are those of the project unless others are given."""
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
    """Return an answer as it is compared."""
    return list(_said(answer))


def _said(answer: Answer) -> Iterator[str]:
    yield "does not end" if answer.exit is None else f"exit {answer.exit}"
    yield f"codes {' '.join(answer.codes) or 'none'}"
    for name, text in (("stdout", answer.stdout), ("stderr", answer.stderr)):
        yield from (f"{name}: {line}" for line in text.splitlines())
