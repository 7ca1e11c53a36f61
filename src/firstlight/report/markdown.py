"""The report as `summary.md`, for a pull request, a workflow's step summary or an issue.

It holds everything but the evidence of what went well. Text from elsewhere stays text: nothing in
it becomes markup.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from firstlight.events import Verdict
from firstlight.formatting import duration_text, moment_text, plural
from firstlight.printable import printable
from firstlight.report.model import RunState, Standing
from firstlight.report.summary import counts_line, timing_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from firstlight.report.model import (
        Comparison,
        CriterionResult,
        GroupResult,
        Report,
        TimeChange,
        VerdictChange,
    )

_ERROR_LINES: Final = 40
"""A step summary holds one megabyte; the page has the whole error."""

_SLOWER_SHOWN: Final = 10
_BAR: Final = "\\|"
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>~#$!])")


def markdown_text(report: Report) -> str:
    """Return the text of the report's Markdown file."""
    parts = (
        _head(report),
        *(_failure(one) for one in report.criteria if one.failed),
        _next(report),
        _diagnostics(report),
        _acceptance(report),
        _checklist(report),
        _stages(report),
        _comparison(report),
        _unverifiable(report),
        _stand_ins(report),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def prose(raw: str) -> str:
    """Return text on one line; `backticks` become code, and nothing else becomes markup."""
    pieces = re.split(r"`([^`]+)`", _one_line(raw))
    return "".join(
        code(piece) if number % 2 else _escaped(piece) for number, piece in enumerate(pieces)
    )


def code(raw: str) -> str:
    """Return text as inline code."""
    text = _one_line(raw)
    if not text:
        return ""
    fence = "`" * (_longest_run(text) + 1)
    edge = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{edge}{text}{edge}{fence}"


def fenced(raw: str) -> str:
    """Return text as a block of code."""
    text = printable(raw).rstrip()
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}text\n{text}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already; empty without rows."""
    # A bar ends a cell, even within code.
    lines = [f"| {' | '.join(cell.replace('|', _BAR) for cell in row)} |" for row in rows]
    head_lines = (f"| {' | '.join(head)} |", "|" + " --- |" * len(head))
    return "\n".join((*head_lines, *lines)) if lines else ""


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _escaped(text: str) -> str:
    # A name after an at sign would be notified.
    return _SPECIAL.sub(r"\\\1", text.replace("&", "&amp;")).replace("@", "&#64;")


def _one_line(raw: str) -> str:
    return " ".join(printable(raw).split())


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _head(report: Report) -> str:
    head, conclusion = report.head, report.conclusion
    sign = conclusion.standing.glyph
    if head.state is RunState.NOT_STARTED:
        return f"# {sign} {prose(conclusion.text)}"
    what = f"{'plan of ' if head.plan else ''}{head.cluster} on {head.target}"
    facts = [
        code(head.revision) if head.revision else "",
        prose(f"{moment_text(head.started_at)} → {moment_text(head.ended_at)} UTC"),
        f"only stage {code(head.stage)}" if head.stage else "",
    ]
    lines = [
        f"# {sign} {prose(what)}: {prose(conclusion.text)}",
        "",
        " · ".join(fact for fact in facts if fact),
        "",
        f"- {prose(counts_line(report))}",
    ]
    if not head.plan:
        share = f" · {100 * report.timing.share:.0f} % of the budget"
        budget = share if report.timing.budget_s and report.timing.counted_from else ""
        lines.append(f"- {prose(timing_line(report))}{budget}")
    if head.state is RunState.UNDER_WAY:
        lines.append(
            "- written while the run was going on: if it is not running now, it was killed"
        )
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
    command = report.conclusion.next_step
    return f"**To continue:** {code(command)}" if command else ""


def _diagnostics(report: Report) -> str:
    found = report.diagnostics
    if found is None:
        return ""
    link = f"[{prose(found.file)}]({found.file}) " if found.file else ""
    return f"**Diagnostics:** {link}({prose(found.words)})"


def _acceptance(report: Report) -> str:
    rows = [
        (one.key, _standing(one), prose(one.title), duration_text(one.took_s) if one.took_s else "")
        for one in report.acceptance
        if one.standing is not Standing.NOT_IN_RUN
    ]
    return _section("Acceptance criteria", table(("AC", "standing", "criterion", "time"), rows))


def _checklist(report: Report) -> str:
    boxes = [
        f"- [x] {prose(box.title)}"
        if box.ticked
        else f"- [ ] {prose(box.title)}: {prose(box.words)}"
        for box in report.checklist
        if box.standing is not Standing.NOT_IN_RUN
    ]
    return _section("Validation checklist", "\n".join(boxes))


def _stages(report: Report) -> str:
    if report.head.plan:
        return ""
    rows = [
        (prose(one.key), _standing(one), duration_text(one.acting_s), duration_text(one.waiting_s))
        for one in report.stages
        if one.standing is not Standing.NOT_IN_RUN
    ]
    return _section("Stages", table(("stage", "standing", "acting", "waiting"), rows))


def _standing(group: GroupResult) -> str:
    return f"{group.standing.glyph} {prose(group.words)}"


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
    return _section("Not verifiable here", "\n".join(lines))


def _stand_ins(report: Report) -> str:
    rows = [
        (prose(one.name), prose(one.stands_for), prose(one.cannot_show))
        for one in report.head.stand_ins
    ]
    head = ("what", "stands for", "cannot show")
    return _section("Stand-ins on this target", table(head, rows))


def _comparison(report: Report) -> str:
    compared = report.comparison
    if compared is None:
        return ""
    revision = f" at {code(compared.last_revision)}" if compared.last_revision else ""
    changes = (
        *_changes("no longer holds", compared.regressed),
        *_changes("holds again", compared.mended),
    )
    last_at = moment_text(compared.last_at)
    parts = (
        f"{plural(compared.earlier, 'earlier run')}; the last began {last_at} UTC{revision}.",
        "\n".join(changes) or "No verdict changed since the last run.",
        *_times(compared, report.timing.budget_s),
    )
    return _section("Compared with earlier runs", "\n\n".join(part for part in parts if part))


def _changes(label: str, changes: Sequence[VerdictChange]) -> Iterator[str]:
    for one in changes:
        then = f"was {prose(one.then)} at {moment_text(one.at)}"
        yield f"- **{label}**: {prose(one.title)} ({then}, now {prose(one.now)})"


def _times(compared: Comparison, budget_s: float) -> Iterator[str]:
    if compared.untimed:
        yield f"Times are not compared: {prose(compared.untimed)}."
        return
    began = moment_text(compared.timed_with)
    yield (
        f"Times compared with the bootstrap that began {began} UTC, "
        "for the criteria that both runs met themselves:"
    )
    rows = [_time_row(one, duration_text) for one in compared.stages]
    if compared.verified is not None:
        rows.append(_time_row(compared.verified, lambda seconds: _of_budget(seconds, budget_s)))
    yield table(("stage", "then", "now", ""), rows)
    shown = [
        f"- slower: {prose(one.title)}, {duration_text(one.then_s)} → {duration_text(one.now_s)}"
        for one in compared.slower[:_SLOWER_SHOWN]
    ]
    if len(compared.slower) > _SLOWER_SHOWN:
        shown.append(f"- and {len(compared.slower) - _SLOWER_SHOWN} more")
    yield "\n".join(shown)


def _time_row(change: TimeChange, text: Callable[[float], str]) -> tuple[str, str, str, str]:
    slower = "**slower**" if change.slower else ""
    return prose(change.title), text(change.then_s), text(change.now_s), slower


def _of_budget(seconds: float, budget_s: float) -> str:
    share = f" ({100 * seconds / budget_s:.0f} % of the budget)" if budget_s else ""
    return f"{duration_text(seconds)}{share}"
