"""A row of the failure catalogue."""

from __future__ import annotations

import re
from dataclasses import dataclass

from firstlight.tools.classification import Class


@dataclass(frozen=True, slots=True)
class Row:
    """One way in which a bootstrap goes wrong, how it shows, and what to do about it.

    Attributes:
        id: A stable name, `FL-008`; a number is never given twice.
        title: What is seen, in a few words.
        pattern: A regular expression over the evidence; case is ignored, and `.` stays within a line.
        cause: Why it happens.
        remedy: What to do.
        klass: What a run does about it.
        where: In which output it shows.
        anchor: The runbook's section, named as the criterion that meets it first.
        commands: What to type, with placeholders for addresses and names (`<node>`); one at least.
    """

    id: str
    title: str
    pattern: str
    cause: str
    remedy: str
    klass: Class
    where: str
    anchor: str
    commands: tuple[str, ...]

    def fires_on(self, evidence: str) -> bool:
        """Report whether the evidence shows this row's symptom."""
        return re.search(self.pattern, evidence, re.IGNORECASE) is not None
