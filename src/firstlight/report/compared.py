"""The comparison with earlier runs on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.report.markup import criterion_link, lines, text, words
from firstlight.span import moment_text, span_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstlight.report.comparison import Comparison, TimeChange, VerdictChange
    from firstlight.report.model import CriterionResult, Report


def comparison(report: Report) -> str:
    """Return the comparison, or nothing where there is nothing to compare with."""
    made = report.comparison
    if made is None:
        return ""
    by_id = {one.info.id: one for one in report.criteria}
    changes = lines(
        (
            *_changes("no longer holds", "failed", made.regressed, by_id),
            *_changes("holds again", "met", made.mended, by_id),
        )
    )
    revision = f" at {text(made.last_revision)}" if made.last_revision else ""
    last = f"{made.earlier} earlier, the last began {moment_text(text(made.last_at))} UTC{revision}"
    none = "<p>No verdict is another one than when it was last looked at.</p>"
    said = f'<ul class="fl-changes">{changes}</ul>' if changes else none
    return (
        f'<section class="fl-section"><h2>Compared with earlier runs <small>{last}</small></h2>{said}'
        f"{_times(made, by_id, report.timing.budget_s)}</section>"
    )


def _changes(
    said: str, tone: str, changes: Sequence[VerdictChange], by_id: dict[str, CriterionResult]
) -> list[str]:
    return [
        f'<li><span class="fl-pill fl-{tone}">{said}</span> {words(one.title)} {criterion_link(by_id[one.criterion])} '
        f'<span class="fl-note">was {text(one.then)} at {moment_text(text(one.at))}, now {text(one.now)}</span></li>'
        for one in changes
    ]


def _times(made: Comparison, by_id: dict[str, CriterionResult], budget_s: float) -> str:
    if made.untimed:
        return f'<p class="fl-note">Times are not compared: {text(made.untimed)}.</p>'
    rows = [_row(change, text(change.title)) for change in made.stages]
    rows += [
        _row(change, f"{words(change.title)} {criterion_link(by_id[change.key])}")
        for change in made.slower
    ]
    if made.verified is not None:
        rows.append(_row(made.verified, "verified after, of the budget", budget_s))
    return (
        '<table class="fl-stand-ins"><thead><tr><th>what both runs did themselves</th>'
        f"<th>began {moment_text(text(made.timed_with))}</th><th>now</th><th></th></tr></thead>{lines(rows)}</table>"
    )


def _row(change: TimeChange, what: str, budget_s: float = 0.0) -> str:
    then, now = (
        f"{span_text(seconds)}{_share(seconds, budget_s)}"
        for seconds in (change.then_s, change.now_s)
    )
    mark = '<span class="fl-pill fl-open">slower</span>' if change.slower else ""
    return f"<tr><th>{what}</th><td>{then}</td><td>{now}</td><td>{mark}</td></tr>"


def _share(seconds: float, budget_s: float) -> str:
    return f" ({100 * seconds / budget_s:.0f} %)" if budget_s else ""
