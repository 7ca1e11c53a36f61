"""The HTML page: what pytest-html is given to put above, into and below its table.

The HTML is in `templates/`. Every value is escaped and stripped of control characters there.
"""

from __future__ import annotations

import platform
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from firstlight.events import ScenarioStanding
from firstlight.formatting import (
    SHORTEST_S,
    UNICODE,
    budget_text,
    duration_text,
    moment_text,
    plural,
)
from firstlight.printable import printable
from firstlight.report.model import RunState
from firstlight.report.summary import timing_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.report.model import CriterionResult, GroupResult, Report

_TONES: Final = {
    "met": "met",
    "already met": "met",
    "met in part": "part",
    "passed": "met",
    "action failed": "failed",
    "not ready in time": "failed",
    "failed": "failed",
    "not verifiable here": "unverifiable",
    "will act": "planned",
    "planned": "planned",
}
"""The color of a verdict, or of the standing of a group or a scenario; all others are `open`."""

_SIGNS: Final = {
    "met": UNICODE.met,
    "failed": UNICODE.failed,
    "unverifiable": UNICODE.warning,
    "planned": UNICODE.action,
    "open": UNICODE.waiting,
}

_ALWAYS_COUNTED: Final = (
    "met",
    "already met",
    "not verifiable here",
    "action failed",
    "not ready in time",
    "not reached",
)
"""Shown even if none has them, because people look for them."""

_COLUMNS: Final = {
    "number": "#",
    "result": "Verdict",
    "criterion": "Criterion",
    "acceptance": "AC",
    "acting": "Acting",
    "waiting": "Waiting",
    "budget": "Budget",
    "evidence": "Evidence",
}

_BRIEF_CHARACTERS: Final = 160
_TICKS_MAX: Final = 8
_STEPS_S: Final = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400),
)


def title(report: Report) -> str:
    """Return the page's title, as plain text: pytest-html escapes it."""
    head = report.head
    if head.state is RunState.NOT_STARTED:
        return "firstlight: nothing has run"
    return f"{'Plan' if head.plan else 'Bootstrap'} of {head.cluster} on {head.target}"


def above(report: Report, links: str) -> str:
    """Return everything above the table: what people see first.

    Args:
        report: The report.
        links: The way from the page's folder to the checkout, such as `../../`.
    """
    order = dict.fromkeys([*([] if report.head.plan else _ALWAYS_COUNTED), *report.counts])
    return _render(
        "page.html.j2",
        report=report,
        links=links,
        css=Markup(_template("page.css")),  # noqa: S704 -- our own file
        script=Markup(_template("page.js")),  # noqa: S704
        by_id={one.info.id: one for one in report.criteria},
        counts={word: report.counts.get(word, 0) for word in order},
        timing=timing_line(report),
        timeline=_timeline(report),
        columns=_COLUMNS,
    )


def filters(report: Report) -> str:
    """Return the bar that filters the table by acceptance criterion, stage and verdict."""
    choices = {
        "ac": ("AC", [one.key for one in report.acceptance if one.criteria]),
        "stage": ("stage", [one.key for one in report.stages]),
        "verdict": ("verdict", list(report.counts)),
    }
    return _render("filters.html.j2", choices=choices)


def environment(report: Report) -> dict[str, str]:
    """Return the rows of pytest-html's environment table, escaped: it inserts them as HTML."""
    head = report.head
    nodes = [f"{name} {address} ({role})" for name, role, address in head.nodes]
    tools = ", ".join(f"{name} {version}" for name, version in head.tool_versions)
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    rows = {
        "Run": _safe(head.run_id),
        "Nodes": Markup("<br>").join(map(_safe, nodes)),
        "Tools": _safe(tools),
        "Operator's machine": _safe(machine),
        "Other commands": "".join(map(_macros().command, report.outside_commands)),
    }
    return {key: str(value) for key, value in rows.items() if value}


def header_cells() -> list[str]:
    """Return the head of the table in pytest-html's form: a column's name is its sort key."""
    return [
        f'<th class="sortable" data-column-type="{key}">{heading}</th>'
        for key, heading in _COLUMNS.items()
    ]


def row(one: CriterionResult, report: Report, links: str) -> dict[str, Any]:
    """Return a criterion's row as pytest-html expects it.

    Its `result` only determines whether the evidence is collapsed. Numbers are padded because
    pytest-html sorts them as text.
    """
    info = one.info
    return {
        "number": f"{one.number:05d}",
        "criterion": info.title,
        "acceptance": " ".join(info.acceptance),
        "acting": f"{one.acting_s:012.3f}",
        "waiting": f"{one.waiting_s:012.3f}",
        "budget": f"{info.budget_s:012.3f}",
        "evidence": _brief(one),
        "testId": _anchor(info.id),
        "result": "Failed" if one.failed else "Passed",
        "resultsTableRow": [str(_macros().cell(column, one)) for column in _COLUMNS],
        "tableHtml": [evidence(one, report, links)],
        "extras": [],
        "log": "",
    }


def evidence(one: CriterionResult, report: Report, links: str) -> str:
    """Return all evidence of a criterion, failures first."""
    return str(_macros().evidence(one, report, links))


def foreign_cells(nodeid: str, when: str, outcome: str) -> list[str]:
    """Return the cells of what is not a criterion, such as a file that fails to import."""
    return [str(_macros().foreign_cell(column, nodeid, when, outcome)) for column in _COLUMNS]


def _brief(one: CriterionResult) -> str:
    """Return the most telling line: the error's first, or the reason, or the last observation."""
    facts = ", ".join(f"{key} {value}" for key, value in one.evidence)
    text = one.first_line or one.reason or one.last_observation or facts
    return text if len(text) <= _BRIEF_CHARACTERS else text[: _BRIEF_CHARACTERS - 1] + "…"


def _timeline(report: Report) -> dict[str, Any] | None:
    """Return lanes and ticks of the timeline, in percent; None if no criterion began."""
    begun = {
        one.info.id: one for one in report.criteria if one.started_s is not None and one.took_s > 0
    }
    if not begun or report.head.plan:
        return None
    ends = ((one.started_s or 0.0) + one.took_s for one in begun.values())
    whole_s = max(report.timing.elapsed_s, *ends, 0.001)
    step = next((step for step in _STEPS_S if whole_s / step <= _TICKS_MAX), _STEPS_S[-1])
    count = min(int(whole_s // step), 4 * _TICKS_MAX)
    return {
        "lanes": [(stage, _bars(stage, begun, whole_s)) for stage in report.stages],
        "ticks": [
            (100 * tick * step / whole_s, f"{tick * step // 60}:{tick * step % 60:02d}")
            for tick in range(count + 1)
        ],
    }


def _bars(
    stage: GroupResult, begun: Mapping[str, CriterionResult], whole_s: float
) -> list[tuple[CriterionResult, float, float, float]]:
    """Return each criterion of a stage with the left edge, width and acting part of its bar."""
    return [
        (
            one,
            100 * (one.started_s or 0.0) / whole_s,
            100 * one.took_s / whole_s,
            100 * one.acting_s / one.took_s,
        )
        for one in (begun[key] for key in stage.criteria if key in begun)
    ]


def _render(name: str, **values: Any) -> str:
    return _environment().get_template(name).render(**values)


@cache
def _macros() -> Any:
    return _environment().get_template("criterion.html.j2").module


@cache
def _environment() -> Environment:
    made = Environment(
        autoescape=True,
        finalize=_printable,
        loader=FunctionLoader(_template),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters |= {
        "anchor": _anchor,
        "brief": _brief,
        "budget": budget_text,
        "duration": duration_text,
        "moment": moment_text,
        "plural": plural,
        "sign": lambda word: _SIGNS[_tone(word)],
        "tone": _tone,
        "words": _words,
    }
    made.globals |= {
        "SHORTEST_S": SHORTEST_S,
        # In the order in which they are shown, what went wrong first.
        "SCENARIO_STANDINGS": (
            ScenarioStanding.FAILED,
            ScenarioStanding.NOT_VERIFIABLE,
            ScenarioStanding.LEFT_OUT,
            ScenarioStanding.PASSED,
        ),
    }
    return made


@cache
def _template(name: str) -> str:
    return (resources.files("firstlight.report") / "templates" / name).read_text(encoding="utf-8")


def _printable(value: Any) -> Any:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _safe(raw: str) -> Markup:
    return escape(printable(raw))


def _words(raw: str) -> Markup:
    """Return escaped text whose `backticks` are shown as code, as the story writes commands."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(_safe(raw)))
    return Markup(marked)  # noqa: S704 -- escaped above


def _tone(word: str) -> str:
    return _TONES.get(word, "open")


def _anchor(criterion: str) -> str:
    """Return the ID of a criterion's row on the page."""
    return "criterion-" + re.sub(r"[^\w.-]", "-", criterion)
