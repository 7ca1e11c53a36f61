"""The report as `summary.md`, for a pull request, a workflow's step summary or the story: all but the evidence of what went well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firstlight.events import Verdict
from firstlight.report.glyphs import GLYPHS
from firstlight.report.mark import code, fenced, prose, section, table
from firstlight.report.mark_comparison import compared
from firstlight.report.model import RunState, Standing
from firstlight.report.summary import counts_line, timing_line
from firstlight.span import moment_text, span_text

if TYPE_CHECKING:
    from firstlight.report.model import CriterionResult, GroupResult, Report

_ERROR_LINES: Final = 40
"""A step summary holds one megabyte; the page has the whole error."""


def markdown_text(report: Report) -> str:
    """Return the text of the report's Markdown file."""
    parts = [
        _head(report),
        *(_failure(one) for one in report.criteria if one.failed),
        _next(report),
        _diagnostics(report),
        _acceptance(report),
        _checklist(report),
        _stages(report),
        section("Compared with earlier runs", compared(report)),
        _unverifiable(report),
        _stand_ins(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(report: Report) -> str:
    head, said = report.head, report.conclusion
    if head.state is RunState.NOT_STARTED:
        return f"# {GLYPHS[said.standing]} {prose(said.text)}"
    what = f"{'plan of ' if head.plan else ''}{head.cluster} on {head.target}"
    facts = [
        code(head.revision) if head.revision else "",
        prose(f"{moment_text(head.started_at)} → {moment_text(head.ended_at)} UTC"),
    ]
    if head.stage:
        facts.append(f"only stage {code(head.stage)}")
    lines = [
        f"# {GLYPHS[said.standing]} {prose(what)}: {prose(said.text)}",
        "",
        " · ".join(fact for fact in facts if fact),
        "",
    ]
    lines.append(f"- {prose(counts_line(report))}")
    if not head.plan:
        percent = (
            f" · {100 * report.timing.share:.0f} % of the budget" if report.timing.budget_s else ""
        )
        lines.append(f"- {prose(timing_line(report))}{percent}")
    if head.state is RunState.UNDER_WAY:
        lines.append("- written while the run went on: if nothing runs any more, it was killed")
    return "\n".join(lines)


def _failure(one: CriterionResult) -> str:
    lines = [
        f"## ✗ {prose(one.info.title)}",
        "",
        f"{prose(one.word)} · {code(one.info.id)} · {code(one.info.anchor)}",
    ]
    error = one.error.rstrip().splitlines()
    if error:
        lines += ["", fenced("\n".join(error[:_ERROR_LINES]))]
    if len(error) > _ERROR_LINES:
        lines.append(f"and {len(error) - _ERROR_LINES} more lines in report.html")
    for hint in one.hints:
        lines += ["", f"**{prose(hint.id)}** {prose(hint.cause)}. {prose(hint.remedy)}"]
        if hint.commands:
            lines += ["", fenced("\n".join(hint.commands))]
    return "\n".join(lines)


def _next(report: Report) -> str:
    return (
        f"**To go on:** {code(report.conclusion.next_step)}" if report.conclusion.next_step else ""
    )


def _diagnostics(report: Report) -> str:
    found = report.diagnostics
    if found is None:
        return ""
    return f"**Diagnostics:** {f'[{prose(found.file)}]({found.file}) ' if found.file else ''}({prose(found.words)})"


def _acceptance(report: Report) -> str:
    rows = [
        (
            one.key,
            f"{GLYPHS[one.standing]} {prose(one.words)}",
            prose(one.title),
            span_text(one.took_s) if one.took_s else "",
        )
        for one in report.acceptance
        if one.standing is not Standing.NOT_IN_RUN
    ]
    return section("Acceptance criteria", table(("AC", "standing", "criterion", "time"), rows))


def _checklist(report: Report) -> str:
    boxes = [one for one in report.checklist if one.standing is not Standing.NOT_IN_RUN]
    return section("Validation checklist", "\n".join(_box(box) for box in boxes))


def _box(box: GroupResult) -> str:
    return (
        f"- [x] {prose(box.title)}"
        if box.ticked
        else f"- [ ] {prose(box.title)}: {prose(box.words)}"
    )


def _stages(report: Report) -> str:
    rows = [
        (
            prose(one.key),
            f"{GLYPHS[one.standing]} {prose(one.words)}",
            span_text(one.acting_s),
            span_text(one.waiting_s),
        )
        for one in report.stages
        if one.standing is not Standing.NOT_IN_RUN
    ]
    return (
        ""
        if report.head.plan
        else section("Stages", table(("stage", "standing", "acting", "waiting"), rows))
    )


def _unverifiable(report: Report) -> str:
    by_reason: dict[str, list[str]] = {}
    for one in report.criteria:
        if one.verdict is Verdict.NOT_VERIFIABLE:
            by_reason.setdefault(one.reason, []).append(one.info.title)
        for scenario in one.unverifiable:
            by_reason.setdefault(scenario.words, []).append(scenario.name)
    lines = [
        f"- {prose(reason)}: {'; '.join(prose(title) for title in titles)}"
        for reason, titles in by_reason.items()
    ]
    return section("Not verifiable here", "\n".join(lines))


def _stand_ins(report: Report) -> str:
    rows = [
        (prose(one.name), prose(one.stands_for), prose(one.cannot_show))
        for one in report.head.stand_ins
    ]
    return section("Stand-ins on this target", table(("what", "stands for", "cannot show"), rows))
