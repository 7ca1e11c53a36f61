"""The page's own parts, as HTML: what pytest-html is given to put above, into and below its table."""

from __future__ import annotations

import platform
from importlib import resources
from typing import TYPE_CHECKING

from firstlight.report.banner import conclusion_box, head_line, numbers
from firstlight.report.checklist import acceptance_table, checklist, stand_ins
from firstlight.report.compared import comparison
from firstlight.report.evidence import command
from firstlight.report.markup import (
    lines,
    text,
)
from firstlight.report.model import RunState
from firstlight.report.rows import plain_table
from firstlight.report.timeline import timeline

if TYPE_CHECKING:
    from firstlight.report.model import Report


def title(report: Report) -> str:
    """Return the page's title, plain: pytest-html escapes it."""
    head = report.head
    if report.head.state is RunState.NOT_STARTED:
        return "firstlight: nothing has run"
    return f"{'Plan' if head.plan else 'Bootstrap'} of {head.cluster} on {head.target}"


def above(report: Report, links: str) -> str:
    """Return everything above the table: what a person sees first."""
    return lines(
        (
            f"<style>{_asset('page.css')}</style><script>{_asset('page.js')}</script>",
            '<div class="fl-page">',
            conclusion_box(report),
            head_line(report),
            numbers(report),
            acceptance_table(report),
            timeline(report),
            checklist(report),
            comparison(report),
            stand_ins(report),
            "</div>",
            _without_scripts(report, links),
        )
    )


def filters(report: Report) -> str:
    """Return the bar that filters the table by acceptance criterion, stage and verdict."""
    acceptance = [one.key for one in report.acceptance if one.criteria]
    stages = [one.key for one in report.stages]
    selects = _select("ac", "AC", acceptance) + _select("stage", "stage", stages)
    selects += _select("verdict", "verdict", list(report.counts))
    return f'<div class="fl-filter"><h2>Criteria</h2>{selects}<button type="button" data-fl-reset>show all</button><output></output></div>'


def environment(report: Report) -> dict[str, str]:
    """Return the rows of pytest-html's environment table, escaped: it sets them as HTML."""
    head = report.head
    nodes = "<br>".join(text(f"{name} {address} ({role})") for name, role, address in head.nodes)
    rows = {
        "Run": text(head.run_id),
        "Nodes": nodes,
        "Tools": text(", ".join(f"{name} {version}" for name, version in head.tool_versions)),
        "Operator's machine": text(
            f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
        ),
        "Other commands": "".join(command(entry) for entry in report.outside_commands),
    }
    return {key: value for key, value in rows.items() if value}


def _without_scripts(report: Report, links: str) -> str:
    if report.head.state is RunState.UNDER_WAY:
        # Written after every criterion, so the half of it that hardly anybody reads waits for the end.
        return "<noscript>The table needs scripts; report.json has the same.</noscript>"
    style = "<style>.controls,.fl-filter,#results-table{display:none}</style>"
    return f"<noscript>{style}<h2>Criteria</h2>{plain_table(report, links)}</noscript>"


def _select(name: str, label: str, values: list[str]) -> str:
    options = "".join(f'<option value="{text(value)}">{text(value)}</option>' for value in values)
    return f'<label>{label} <select name="{name}"><option value="">all</option>{options}</select></label>'


def _asset(name: str) -> str:
    return resources.files("firstlight.report").joinpath("assets", name).read_text(encoding="utf-8")
