"""The report: what a run proved, folded from its events into one model that every renderer reads.

This package never runs a command, never asks a cluster, and imports neither pytest nor anything but events.
"""

from firstlight.report.document import to_json
from firstlight.report.fold import Fold, fold
from firstlight.report.keeper import Keeper
from firstlight.report.model import (
    ActionRecord,
    CommandRecord,
    Conclusion,
    CriterionResult,
    GroupResult,
    ObservationRecord,
    Report,
    RunHead,
    RunState,
    Standing,
    Timing,
    WaitRecord,
)
from firstlight.report.story import ACCEPTANCE, CHECKLIST
from firstlight.report.summary import summary_lines

__all__ = [
    "ACCEPTANCE",
    "CHECKLIST",
    "ActionRecord",
    "CommandRecord",
    "Conclusion",
    "CriterionResult",
    "Fold",
    "GroupResult",
    "Keeper",
    "ObservationRecord",
    "Report",
    "RunHead",
    "RunState",
    "Standing",
    "Timing",
    "WaitRecord",
    "fold",
    "summary_lines",
    "to_json",
]
