"""The engine: runs criteria, plans, retries and resumes.

It knows nothing about pytest. Every fact about a run is an event; verdicts and times are folds over
these events, as are the journal, the display and the report.
"""

from firstlight.run.diagnosis import diagnose
from firstlight.run.engine import Run, Settings
from firstlight.run.perform import Performer
from firstlight.run.plan import CHANGES_AHEAD, Plan, PlannedPerformer, PlannedWaiter
from firstlight.run.timing import BUDGET_S, READY_AFTER, VERIFIED_AFTER
from firstlight.run.verdicts import LeaveCriterion, with_hints
from firstlight.run.wait import Waiter

__all__ = [
    "BUDGET_S",
    "CHANGES_AHEAD",
    "READY_AFTER",
    "VERIFIED_AFTER",
    "LeaveCriterion",
    "Performer",
    "Plan",
    "PlannedPerformer",
    "PlannedWaiter",
    "Run",
    "Settings",
    "Waiter",
    "diagnose",
    "with_hints",
]
