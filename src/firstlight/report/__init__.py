"""The report: what a run proved, folded from its events into one model that every renderer reads.

This package never runs a command, never asks a cluster, and never imports pytest.
"""

from firstlight.report.ctrf import to_json
from firstlight.report.fold import Fold, fold
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
from firstlight.report.summary import summary_lines
from firstlight.report.writer import ReportWriter

__all__ = [
    "ActionRecord",
    "CommandRecord",
    "Conclusion",
    "CriterionResult",
    "Fold",
    "GroupResult",
    "ObservationRecord",
    "Report",
    "ReportWriter",
    "RunHead",
    "RunState",
    "Standing",
    "Timing",
    "WaitRecord",
    "fold",
    "summary_lines",
    "to_json",
]
