"""Events: what happens in a run, told once to everybody who wants to know.

This package never prints, never writes a file, and never decides anything.
"""

from firstlight.events.bus import Bus, Listener
from firstlight.events.model import (
    DONE_BEFORE,
    ActionBegun,
    ActionEnded,
    ActionSkipped,
    CommandEnded,
    CommandOutput,
    CommandStarted,
    CriterionEnded,
    CriterionInfo,
    CriterionStarted,
    Event,
    HintInfo,
    Observed,
    RunEnded,
    RunStarted,
    ScenarioInfo,
    ScenarioStanding,
    Stamped,
    StandInInfo,
    Verdict,
    WaitEnded,
    WaitStarted,
)

__all__ = [
    "DONE_BEFORE",
    "ActionBegun",
    "ActionEnded",
    "ActionSkipped",
    "Bus",
    "CommandEnded",
    "CommandOutput",
    "CommandStarted",
    "CriterionEnded",
    "CriterionInfo",
    "CriterionStarted",
    "Event",
    "HintInfo",
    "Listener",
    "Observed",
    "RunEnded",
    "RunStarted",
    "ScenarioInfo",
    "ScenarioStanding",
    "Stamped",
    "StandInInfo",
    "Verdict",
    "WaitEnded",
    "WaitStarted",
]
