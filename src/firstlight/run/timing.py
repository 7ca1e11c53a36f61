"""How long a bootstrap took, counted from its first action."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from firstlight.checklist import CriterionInfo, Stage
from firstlight.journal import BootstrapRecord

BUDGET_S: Final = 30 * 60.0
"""NFR2: from the first action until everything is verified."""

READY_AFTER: Final = Stage.FLUX
"""With this stage the cluster is ready."""

VERIFIED_AFTER: Final = Stage.CILIUM
"""With this stage everything is verified."""

NO_ACTION: Final = "no action on record"

BEGAN_UNRECORDED: Final = (
    "the bootstrap of etcd is not on record, so it is unknown when the first action was"
)

CLOCK_SET_BACK: Final = (
    "this computer rebooted and its clock was set back since the first action, "
    "so the duration is unknown"
)


@dataclass(frozen=True, slots=True)
class Span:
    """The time from the first action until every criterion up to a stage was met.

    Attributes:
        seconds: None if it is unknown.
        why: Why it is unknown, empty if it is known.
        has_beginning: Whether the first action is on record. If not, nothing can be counted, now
            or in a later run.
    """

    seconds: float | None
    why: str = ""
    has_beginning: bool = True


def span(record: BootstrapRecord, criteria: Iterable[CriterionInfo], last: Stage) -> Span:
    """Return how long it took to meet these criteria up to a stage.

    Args:
        record: The bootstrap.
        criteria: Every criterion that can be verified on the target.
        last: The last stage that counts.
    """
    if record.first_action_at is None:
        return Span(None, NO_ACTION, has_beginning=False)
    if record.began_unrecorded:
        return Span(None, BEGAN_UNRECORDED, has_beginning=False)
    counted = [info for info in criteria if info.stage in last.and_earlier]
    for info in counted:
        if info.id not in record.met_at:
            return Span(None, f"{info.id} has not been met")
    if not counted:
        return Span(None, "nothing up to there can be verified here")
    end = max(record.met_at[info.id] for info in counted)
    seconds = (end - record.first_action_at).total_seconds()
    # Negative only across a boot: within one, the journal corrects for the wall clock.
    return Span(seconds) if seconds >= 0 else Span(None, CLOCK_SET_BACK)
