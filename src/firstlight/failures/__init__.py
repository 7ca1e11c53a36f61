"""The failure catalogue: every known failure, what a run does about it, and what people do.

Two views of the same rows: `classify` tells a run whether to retry a failed command, and `hints`
tells people what a failure means. Only `__main__` reads or writes anything.
"""

from firstlight.failures.catalogue import (
    BY_ID,
    ROWS,
    SUBJECTS,
    classify,
    find,
    hint,
    hints,
    match,
    rows_for_rule,
)
from firstlight.failures.row import FailureClass, HintInfo, Row

__all__ = [
    "BY_ID",
    "ROWS",
    "SUBJECTS",
    "FailureClass",
    "HintInfo",
    "Row",
    "classify",
    "find",
    "hint",
    "hints",
    "match",
    "rows_for_rule",
]
