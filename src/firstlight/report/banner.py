"""The top of the page: in three seconds whether it is done, in ten what failed and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.report.glyphs import GLYPHS
from firstlight.report.markup import criterion_link, standing_tone, text, tone, words
from firstlight.report.model import RunState
from firstlight.report.summary import timing_line
from firstlight.span import moment_text

if TYPE_CHECKING:
    from firstlight.report.model import Report

_ALWAYS_COUNTED = (
    "met",
    "already met",
    "not verifiable here",
    "action failed",
    "not ready in time",
    "not reached",
)
"""Shown even at zero, because a person looks for them."""


def conclusion_box(report: Report) -> str:
    """Return the conclusion with what to do next."""
    said = report.conclusion
    number = next((one for one in report.criteria if one.info.id == said.criterion), None)
    link = f" {criterion_link(number, 'see the evidence')}" if number else ""
    detail = f"<p><samp>{text(said.detail)}</samp></p>" if said.detail else ""
    detail += f"<p>{words(said.advice)}</p>" if said.advice else ""
    detail += _diagnostics(report)
    to_do = f"<p>to go on: <code>{text(said.next_step)}</code></p>" if said.next_step else ""
    return (
        f'<div class="fl-conclusion fl-{standing_tone(said.standing)}"><p class="fl-said">'
        f"{GLYPHS[said.standing]} {words(said.text)}{link}</p>{detail}{to_do}{_still(report)}</div>"
    )


def _diagnostics(report: Report) -> str:
    found = report.diagnostics
    if found is None:
        return ""
    link = f'<a href="{text(found.file)}" download>{text(found.file)}</a> ' if found.file else ""
    return f"<p>diagnostics: {link}({text(found.words)})</p>"


def _still(report: Report) -> str:
    if report.head.state is not RunState.UNDER_WAY:
        return ""
    return (
        f"<p>Written while the run went on, last at {text(moment_text(report.head.ended_at))}. "
        "If nothing runs any more, it was killed: the command above goes on from here.</p>"
    )


def head_line(report: Report) -> str:
    """Return what was run, where and when, and with which tools."""
    head = report.head
    span = (
        f"{moment_text(head.started_at)} → {moment_text(head.ended_at)} UTC"
        if head.started_at
        else ""
    )
    only = f"only stage {head.stage}" if head.stage else ""
    facts = [
        f"<b>{text(head.cluster)}</b> on <b>{text(head.target)}</b>",
        text(head.revision),
        text(span),
        text(only),
    ]
    tools = " · ".join(text(f"{name} {version}") for name, version in head.tool_versions)
    return f'<p class="fl-head">{" · ".join(fact for fact in facts if fact)}</p><p class="fl-tools">{tools or "no tool versions known"}</p>'


def numbers(report: Report) -> str:
    """Return how many criteria have which verdict, and the time against the budget."""
    order = dict.fromkeys([*([] if report.head.plan else _ALWAYS_COUNTED), *report.counts])
    chips = "".join(
        f'<button type="button" class="fl-count fl-{tone(word)}{"" if report.counts.get(word) else " fl-zero"}" '
        f'data-fl-verdict="{text(word)}"><b>{report.counts.get(word, 0)}</b> {text(word)}</button>'
        for word in order
    )
    return f'<div class="fl-numbers"><div class="fl-counts">{chips}</div>{_budget(report)}</div>'


def _budget(report: Report) -> str:
    timing = report.timing
    if report.head.plan or timing.budget_s <= 0:
        return ""
    over = " fl-over" if timing.share > 1 else ""
    ready = timing.ready_after_s
    mark = (
        ""
        if ready is None
        else f'<u style="left:{min(100.0, 100 * ready / timing.budget_s):.2f}%"></u>'
    )
    return (
        f'<div class="fl-budget{over}"><div>{text(timing_line(report))}</div>'
        f'<div class="fl-budget-bar" role="img" aria-label="{100 * timing.share:.0f} percent of the budget used">'
        f'<i style="width:{min(100.0, 100 * timing.share):.2f}%"></i>{mark}</div></div>'
    )
