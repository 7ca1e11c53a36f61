"""The story on the page: its acceptance criteria, its validation checklist, and what stands in for the real thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.report.markup import (
    criterion_link,
    lines,
    standing_pill,
    standing_tone,
    text,
    words,
)
from firstlight.report.model import Standing
from firstlight.span import span_text

if TYPE_CHECKING:
    from firstlight.report.model import GroupResult, Report


def acceptance_table(report: Report) -> str:
    """Return the story's acceptance criteria with their standing and time."""
    rows = lines(
        f'<tr><th><button type="button" data-fl-ac="{one.key}">{one.key}</button></th>'
        f"<td>{standing_pill(one.standing, one.words)}</td><td>{words(one.title)}{_note(one)}</td>"
        f"<td>{span_text(one.took_s) if one.took_s else ''}</td></tr>"
        for one in report.acceptance
    )
    return f'<section class="fl-section"><h2>Acceptance criteria</h2><table class="fl-ac">{rows}</table></section>'


def checklist(report: Report) -> str:
    """Return the story's validation checklist; each box leads to its evidence."""
    by_id = {one.info.id: one for one in report.criteria}
    ticked = sum(box.ticked for box in report.checklist)
    items = lines(
        _box(box, " ".join(criterion_link(by_id[key]) for key in box.criteria))
        for box in report.checklist
    )
    return (
        f'<section class="fl-section"><h2>Validation checklist <small>{ticked} of {len(report.checklist)} ticked; '
        f'the numbers lead to the evidence</small></h2><ul class="fl-checklist">{items}</ul></section>'
    )


def _box(box: GroupResult, links: str) -> str:
    mark = "☑" if box.ticked else "☒" if box.standing is Standing.FAILED else "☐"
    said = "" if box.ticked else f' <span class="fl-note">{text(box.words)}</span>'
    return (
        f'<li class="fl-{standing_tone(box.standing)}"><span class="fl-box">{mark}</span>'
        f"<span>{words(box.title)}{said}{_note(box)}</span><span class='fl-refs'>{links}</span></li>"
    )


def _note(group: GroupResult) -> str:
    return f'<small class="fl-note">{words(group.note)}</small>' if group.note else ""


def stand_ins(report: Report) -> str:
    """Return what stands in for the real thing on this target, or nothing."""
    if not report.head.stand_ins:
        return ""
    rows = lines(
        f"<tr><th>{text(one.name)}</th><td>{text(one.stands_for)}</td><td>{text(one.cannot_show)}</td></tr>"
        for one in report.head.stand_ins
    )
    return (
        '<section class="fl-section"><h2>Stand-ins on this target</h2><table class="fl-stand-ins"><thead><tr>'
        f"<th>what</th><th>stands for</th><th>cannot show</th></tr></thead>{rows}</table></section>"
    )
