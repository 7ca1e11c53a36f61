"""The table: one row a criterion, with its evidence folded beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from firstlight.report.evidence import evidence
from firstlight.report.markup import anchor, text, verdict_pill, words
from firstlight.span import SHORTEST_S, budget_text, span_text

if TYPE_CHECKING:
    from firstlight.report.model import CriterionResult, Report

_BRIEF_CHARACTERS: Final = 160
_COLUMNS: Final = (
    ("number", "#"),
    ("result", "Verdict"),
    ("criterion", "Criterion"),
    ("acceptance", "AC"),
    ("acting", "Acting"),
    ("waiting", "Waiting"),
    ("budget", "Budget"),
    ("evidence", "Evidence"),
)


def header_cells() -> list[str]:
    """Return the head of the table, in pytest-html's form: the column's name is its sort key."""
    return [
        f'<th class="sortable" data-column-type="{key}">{title}</th>' for key, title in _COLUMNS
    ]


def sort_keys(one: CriterionResult) -> dict[str, str]:
    """Return what each column sorts by; numbers are padded because they are compared as text."""
    return {
        "number": f"{one.number:05d}",
        "criterion": one.info.title,
        "acceptance": " ".join(one.info.acceptance),
        "acting": f"{one.acting_s:012.3f}",
        "waiting": f"{one.waiting_s:012.3f}",
        "budget": f"{one.info.budget_s:012.3f}",
        "evidence": brief(one),
    }


def cells(one: CriterionResult) -> list[str]:
    """Return a criterion's cells, the filter's data on the first."""
    info = one.info
    data = f'data-ac="{text(" ".join(info.acceptance))}" data-stage="{text(info.stage)}" data-verdict="{text(one.word)}"'
    return [
        f'<td class="col-number" {data}>{one.number}</td>',
        f'<td class="col-result">{verdict_pill(one.word)}</td>',
        f'<td class="col-criterion">{words(info.title)}<small>{text(info.stage)}{_task(one)}</small></td>',
        f'<td class="col-acceptance">{text(", ".join(info.acceptance))}</td>',
        f'<td class="col-acting">{_span(one.acting_s)}</td>',
        f'<td class="col-waiting">{_span(one.waiting_s)}</td>',
        f'<td class="col-budget">{_budget(one)}</td>',
        f'<td class="col-evidence">{text(brief(one))}</td>',
    ]


def entry(one: CriterionResult, report: Report, links: str) -> dict[str, Any]:
    """Return a criterion's row as pytest-html's page takes it: `result` says there only whether it is folded."""
    return {
        **sort_keys(one),
        "testId": anchor(one.info.id),
        "result": "Failed" if one.failed else "Passed",
        "resultsTableRow": cells(one),
        "tableHtml": [evidence(one, report, links)],
        "extras": [],
        "log": "",
    }


def foreign_cells(nodeid: str, when: str, outcome: str) -> list[str]:
    """Return the cells of something that is no criterion, such as a file that cannot be imported."""
    return [
        '<td class="col-number"></td>',
        f'<td class="col-result">{text(outcome)}</td>',
        f'<td class="col-criterion"><code>{text(nodeid)}</code><small>{text(when)}</small></td>',
        *(f'<td class="col-{key}"></td>' for key, _ in _COLUMNS[3:]),
    ]


def brief(one: CriterionResult) -> str:
    """Return the one line that says most: the error's first, else the reason, else what was last seen."""
    first = one.error.strip().splitlines()[0] if one.error.strip() else ""
    seen = one.last_observation or ", ".join(f"{key} {value}" for key, value in one.evidence)
    said = first or one.reason or seen
    return said if len(said) <= _BRIEF_CHARACTERS else said[: _BRIEF_CHARACTERS - 1] + "…"


def plain_table(report: Report, links: str) -> str:
    """Return the whole table as it stands, for a reader without scripts."""
    head = "".join(f"<th>{title}</th>" for _, title in _COLUMNS)
    bodies = "\n".join(
        f'<tbody id="{anchor(one.info.id)}"><tr>{"".join(cells(one))}</tr>'
        f'<tr><td colspan="{len(_COLUMNS)}">{evidence(one, report, links)}</td></tr></tbody>'
        for one in report.criteria
    )
    return f'<table class="fl-plain"><thead><tr>{head}</tr></thead>{bodies}</table>'


def _task(one: CriterionResult) -> str:
    return f" · story task {one.info.task}" if one.info.task else ""


def _span(seconds: float) -> str:
    return span_text(seconds) if seconds >= SHORTEST_S else '<span class="fl-none">&ndash;</span>'


def _budget(one: CriterionResult) -> str:
    budget_s = one.info.budget_s
    if budget_s <= 0:
        return ""
    share = min(100.0, 100 * one.waiting_s / budget_s)
    return (
        f'{budget_text(budget_s)}<span class="fl-meter"><i style="width:{share:.1f}%"></i></span>'
    )
