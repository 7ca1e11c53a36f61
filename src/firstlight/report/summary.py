"""The report in a few plain lines, for the end of a run in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firstlight.events import Verdict
from firstlight.formatting import budget_text, duration_text
from firstlight.report.model import Standing

if TYPE_CHECKING:
    from firstlight.report.model import GroupResult, Report

_SHOWN_IN_FULL: Final = (Standing.MET, Standing.MET_IN_PART, Standing.NOT_VERIFIABLE)


def summary_lines(report: Report) -> tuple[str, ...]:
    """Return the conclusion, planned actions, counts, acceptance criteria, time and regressions."""
    lines = (
        report.conclusion.text,
        *planned_lines(report),
        counts_line(report),
        acceptance_line(report),
        "" if report.head.plan else timing_line(report),
        comparison_line(report),
    )
    return tuple(line for line in lines if line)


def planned_lines(report: Report) -> tuple[str, ...]:
    """Return the actions that a plan found necessary, in order."""
    planned = (
        one.reason.partition("\n")[0].partition(", because ")[0]
        for one in report.criteria
        if one.verdict is Verdict.WILL_ACT
    )
    return tuple(f"{number}. {action}" for number, action in enumerate(planned, start=1))


def counts_line(report: Report) -> str:
    """Return how many criteria have which verdict."""
    return ", ".join(f"{word} {number}" for word, number in report.counts.items())


def acceptance_line(report: Report) -> str:
    """Return each acceptance criterion of this run with its standing and time."""
    return " | ".join(
        _brief(one) for one in report.acceptance if one.standing is not Standing.NOT_IN_RUN
    )


def timing_line(report: Report) -> str:
    """Return the time that counts against the budget, and what it is counted from."""
    timing = report.timing
    budget = budget_text(timing.budget_s)
    if not timing.counted_from:
        return f"this run took {duration_text(timing.elapsed_s)}; no action is on record"
    if timing.verified_after_s is None:
        return f"{duration_text(timing.total_s)} since {timing.counted_from}, of {budget}"
    ready_s = timing.ready_after_s
    ready = "" if ready_s is None else f"ready after {duration_text(ready_s)}, "
    verified = f"verified after {duration_text(timing.verified_after_s)} of {budget}"
    return f"{ready}{verified} (this run {duration_text(timing.elapsed_s)})"


def comparison_line(report: Report) -> str:
    """Return what got worse since earlier runs, empty if nothing did."""
    compared = report.comparison
    if compared is None:
        return ""
    parts = [f"no longer holds: {change.title}" for change in compared.regressed]
    slower = [change.title for change in compared.stages if change.slower]
    if slower:
        parts.append(f"slower than before: {', '.join(slower)}")
    return "; ".join(parts)


def _brief(group: GroupResult) -> str:
    if group.standing is Standing.FAILED:
        words = "failed"
    elif group.standing in _SHOWN_IN_FULL or not group.holding:
        words = group.words
    else:
        words = f"{group.holding} of {len(group.criteria)} met"
    took = f" ({duration_text(group.took_s)})" if group.took_s else ""
    return f"{group.key} {words}{took}"
