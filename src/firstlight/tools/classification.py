"""Classify what a tool says when it fails: retry, wait, fatal, or success after proof.

Each tool keeps its own table of rules, the only place that matches on its texts. What no rule knows is fatal at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Class(StrEnum):
    """What a failure means, in the failure catalogue's letters."""

    RETRY = "R"
    WAIT = "W"
    FATAL = "F"
    SUCCESS = "S"


@dataclass(frozen=True, slots=True)
class Rule:
    """One text of a tool and what it means.

    Attributes:
        pattern: Searched for in standard error, without regard to case.
        meaning: What to do about it.
        row: The row of the failure catalogue (`FL-001`), empty for what is not in it.
        pause_s: How long to leave it alone before it is asked again, in seconds; nothing where asking costs nothing.
    """

    pattern: str
    meaning: Class
    row: str = ""
    pause_s: float = 0.0

    def matches(self, text: str) -> bool:
        """Report whether the tool said it."""
        return re.search(self.pattern, text, re.IGNORECASE | re.DOTALL) is not None


def classify(rules: Sequence[Rule], text: str) -> Rule | None:
    """Return the first rule that matches, or none: then the failure is unknown, and fatal."""
    for rule in rules:
        if rule.matches(text):
            return rule
    return None
