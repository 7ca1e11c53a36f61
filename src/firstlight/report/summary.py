"""The report in a few plain lines, for the end of a run in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.events import Verdict
from firstlight.report.model import Standing
from firstlight.span import budget_text, span_text

if TYPE_CHECKING:
    from firstlight.report.model import GroupResult, Report


def summary_lines(report: Report) -> tuple[str, ...]:
    """Return what a person needs after a run: conclusion, what a plan has ahead, counts, acceptance criteria, time."""
    lines = [report.conclusion.text, *planned_lines(report), counts_line(report)]
    acceptance = acceptance_line(report)
    if acceptance:
        lines.append(acceptance)
    if not report.head.plan:
        lines.append(timing_line(report))
    lines.append(comparison_line(report))
    return tuple(line for line in lines if line)


def planned_lines(report: Report) -> tuple[str, ...]:
    """Return what a plan would do, in order, each in one line."""
    planned = [
        one.reason.partition("\n")[0].partition(", because ")[0]
        for one in report.criteria
        if one.verdict is Verdict.WILL_ACT
    ]
    return tuple(f"{number}. {action}" for number, action in enumerate(planned, start=1))


def counts_line(report: Report) -> str:
    """Return how many criteria have which verdict."""
    return ", ".join(f"{word} {number}" for word, number in report.counts.items())


def acceptance_line(report: Report) -> str:
    """Return each acceptance criterion that this run is about, with its standing and time."""
    return " | ".join(
        _brief(one) for one in report.acceptance if one.standing is not Standing.NOT_IN_RUN
    )


def timing_line(report: Report) -> str:
    """Return the time that counts against the budget, said from where it is counted."""
    timing = report.timing
    if timing.verified_after_s is None:
        return f"{span_text(timing.total_s)} since {timing.counted_from}, of {budget_text(timing.budget_s)}"
    ready = (
        "" if timing.ready_after_s is None else f"ready after {span_text(timing.ready_after_s)}, "
    )
    this_run = f" (this run {span_text(timing.elapsed_s)})"
    return f"{ready}verified after {span_text(timing.verified_after_s)} of {budget_text(timing.budget_s)}{this_run}"


def comparison_line(report: Report) -> str:
    """Return what got worse since the earlier runs, or nothing if nothing did."""
    made = report.comparison
    if made is None:
        return ""
    slower = [change.title for change in made.stages if change.slower]
    lost = [f"no longer holds: {change.title}" for change in made.regressed]
    return "; ".join((*lost, *([f"slower than before: {', '.join(slower)}"] if slower else [])))


def _brief(group: GroupResult) -> str:
    told_whole = (Standing.MET, Standing.MET_IN_PART, Standing.NOT_VERIFIABLE)
    whole = group.standing in told_whole or not group.holding
    words = group.words if whole else f"{group.holding} of {len(group.criteria)} met"
    if group.standing is Standing.FAILED:
        words = "failed"
    return (
        f"{group.key} {words} ({span_text(group.took_s)})"
        if group.took_s
        else f"{group.key} {words}"
    )
