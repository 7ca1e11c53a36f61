"""The comparison with earlier runs in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firstlight.report.mark import code, prose, table
from firstlight.span import moment_text, span_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from firstlight.report.comparison import Comparison, TimeChange, VerdictChange
    from firstlight.report.model import Report

_SLOWER_SHOWN: Final = 10


def compared(report: Report) -> str:
    """Return the comparison, or nothing where there is nothing to compare with."""
    made = report.comparison
    if made is None:
        return ""
    revision = f" at {code(made.last_revision)}" if made.last_revision else ""
    parts = [
        f"{made.earlier} earlier; the last began {moment_text(made.last_at)} UTC{revision}.",
        "\n".join(
            (*_changes("no longer holds", made.regressed), *_changes("holds again", made.mended))
        )
        or "No verdict is another one than when it was last looked at.",
        *_times(made, report.timing.budget_s),
    ]
    return "\n\n".join(part for part in parts if part)


def _changes(said: str, changes: Sequence[VerdictChange]) -> Iterator[str]:
    for change in changes:
        yield f"- **{said}**: {prose(change.title)} (was {prose(change.then)} at {moment_text(change.at)}, now {prose(change.now)})"


def _times(made: Comparison, budget_s: float) -> Iterator[str]:
    if made.untimed:
        yield f"Times are not compared: {prose(made.untimed)}."
        return
    yield f"Times beside the bootstrap that began {moment_text(made.timed_with)} UTC, over what both runs did themselves:"
    rows = [
        _row(change, span_text(change.then_s), span_text(change.now_s)) for change in made.stages
    ]
    if made.verified is not None:
        rows.append(
            _row(
                made.verified,
                _burnt(made.verified.then_s, budget_s),
                _burnt(made.verified.now_s, budget_s),
            )
        )
    yield table(("stage", "then", "now", ""), rows)
    shown = [
        f"- slower: {prose(one.title)}, {span_text(one.then_s)} → {span_text(one.now_s)}"
        for one in made.slower[:_SLOWER_SHOWN]
    ]
    if len(made.slower) > _SLOWER_SHOWN:
        shown.append(f"- and {len(made.slower) - _SLOWER_SHOWN} more")
    yield "\n".join(shown)


def _row(change: TimeChange, then: str, now: str) -> tuple[str, str, str, str]:
    return prose(change.title), then, now, "**slower**" if change.slower else ""


def _burnt(seconds: float, budget_s: float) -> str:
    return (
        f"{span_text(seconds)} ({100 * seconds / budget_s:.0f} % of the budget)"
        if budget_s
        else span_text(seconds)
    )
