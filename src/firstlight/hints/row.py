"""A row of the failure catalogue."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Class(StrEnum):
    """What a run does about a failure: the classes of the tables beside the tools."""

    RETRY = "R"
    EXPECTED = "W"
    FATAL = "F"
    SUCCESS = "S"

    @property
    def meaning(self) -> str:
        """The class in words."""
        return _MEANING[self]


_MEANING = {
    Class.RETRY: "passes by itself more often than not: it is tried again within the budget",
    Class.EXPECTED: "expected for a while: it is waited for, up to the budget",
    Class.FATAL: "does not pass by itself: something has to be mended",
    Class.SUCCESS: "counts as done once it is proved",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One way in which a bootstrap goes wrong, how it shows, and what to do about it.

    Attributes:
        id: A stable name, `FL-008`; numbers are never given twice.
        title: What is seen, in a few words.
        pattern: A regular expression over the evidence; case is ignored, `.` stays within a line.
        cause: Why it happens.
        remedy: What to do.
        klass: What a run does about it.
        where: In which output it shows.
        anchor: The runbook's section, named as the criterion that meets it first.
        commands: What to type, with placeholders for addresses and names (`<node>`).
    """

    id: str
    title: str
    pattern: str
    cause: str
    remedy: str
    klass: Class
    where: str
    anchor: str
    commands: tuple[str, ...] = ()

    def fires_on(self, evidence: str) -> bool:
        """Report whether the evidence shows this row's symptom."""
        return re.search(self.pattern, evidence, re.IGNORECASE) is not None
