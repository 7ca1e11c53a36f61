"""The checklist's vocabulary: stages, acceptance criteria, boxes, and the `criterion` decorator.

This package holds plain values. It imports nothing else of firstlight, and it never runs anything.
"""

from firstlight.checklist.criterion import Capability, Criterion, CriterionInfo, criterion
from firstlight.checklist.selection import Selection
from firstlight.checklist.story import (
    AC1,
    AC2,
    AC3,
    AC4,
    AC5,
    AC6,
    AC7,
    AcceptanceCriterion,
    Box,
    Stage,
    Step,
)

__all__ = [
    "AC1",
    "AC2",
    "AC3",
    "AC4",
    "AC5",
    "AC6",
    "AC7",
    "AcceptanceCriterion",
    "Box",
    "Capability",
    "Criterion",
    "CriterionInfo",
    "Selection",
    "Stage",
    "Step",
    "criterion",
]
