"""A row of the failure catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class FailureClass(StrEnum):
    """What a run does about a failure."""

    RETRY = "R"
    WAIT = "W"
    FATAL = "F"
    SUCCESS = "S"


@dataclass(frozen=True, slots=True)
class Row:
    """A known failure: how to recognize it, what it means, and what to do about it.

    A pattern is a regular expression that matches a tool's own words. Case is ignored, and `.` does
    not match a line break. An error that firstlight words itself carries its row without a pattern.

    Attributes:
        id: A stable name, such as `FL-008`; a number is never reused.
        title: The symptom, in a few words.
        failure_class: What a run does about it.
        where: Which output shows it.
        cause: Why it happens.
        remedy: What to do.
        anchor: The runbook section of the first criterion that can meet it.
        commands: At least one command to type, with placeholders such as `<node>`.
        patterns: Searched for in all evidence of a failure, whichever tool it comes from.
        said_by: Searched for in the error output of one tool instead, by the tool's name. Such a
            pattern may be wider, because the speaker is known.
        rules: The rules of the definition whose violation this row explains. `field/rule` limits a
            rule to one field.
        pause_s: How long to wait before the next attempt, in seconds, if each attempt does harm.
    """

    id: str
    title: str
    failure_class: FailureClass
    where: str
    cause: str
    remedy: str
    anchor: str
    commands: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    said_by: Mapping[str, str] = field(default_factory=dict, hash=False)
    rules: tuple[str, ...] = ()
    pause_s: float = 0.0

    def matches(self, evidence: str) -> bool:
        """Report whether the evidence of a failure shows this symptom."""
        return any(_found(pattern, evidence) for pattern in self.patterns)

    def is_said_by(self, tool: str, text: str) -> bool:
        """Report whether a tool's error output shows this symptom."""
        if tool in self.said_by:
            return _found(self.said_by[tool], text)
        return self.matches(text)

    def covers(self, rule: str, field: str) -> bool:
        """Report whether a violated rule of the definition, at a dotted field, is this failure."""
        return rule in self.rules or f"{field.rpartition('.')[2]}/{rule}" in self.rules


@dataclass(frozen=True, slots=True)
class HintInfo:
    """A row of the failure catalogue that explains a failure."""

    id: str
    cause: str
    remedy: str
    commands: tuple[str, ...] = ()
    anchor: str = ""


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None
