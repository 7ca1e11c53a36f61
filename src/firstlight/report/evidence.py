"""What lies beneath a row: error, hints, next step, commands with their output, observations, facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firstlight.events import ScenarioStanding
from firstlight.report.markup import lines, text, words
from firstlight.span import budget_text, span_text

_SCENARIO_TONES: Final = {
    ScenarioStanding.FAILED: "failed",
    ScenarioStanding.NOT_VERIFIABLE: "unverifiable",
    ScenarioStanding.LEFT_OUT: "open",
    ScenarioStanding.PASSED: "met",
}
"""The colour of each standing, in the order in which they are shown."""

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firstlight.events import HintInfo
    from firstlight.report.model import (
        ActionRecord,
        CommandRecord,
        CriterionResult,
        Report,
        WaitRecord,
    )


def evidence(one: CriterionResult, report: Report, links: str) -> str:
    """Return all evidence of a criterion, what went wrong first.

    Args:
        one: The criterion.
        report: The report that it is in, for the command to resume.
        links: What leads from the page's folder to the checkout, such as `../../`.
    """
    parts = [
        _block("error", f'<pre class="fl-error">{text(one.error.rstrip())}</pre>')
        if one.error
        else "",
        _block("why", words(one.reason)) if one.reason else "",
        lines(_hint(hint, links) for hint in one.hints),
        _next(one, report, links),
        _scenarios(one),
        _block("facts", _facts(one.evidence) + _more(one.evidence_left_off, "facts"))
        if one.evidence
        else "",
        _block("actions", _listed(_action(action) for action in one.actions))
        if one.actions
        else "",
        _block(
            "waited for",
            _listed(_wait(wait) for wait in one.waits) + _more(one.waits_left_off, "that held"),
        )
        if one.waits
        else "",
        _block("last seen", f"<samp>{text(one.last_observation)}</samp>")
        if one.last_observation
        else "",
        _observations(one),
        _block(
            "commands",
            lines(command(entry) for entry in one.commands)
            + _more(one.commands_left_off, "looks that went well"),
        )
        if one.commands
        else "",
    ]
    return f'<div class="fl-evidence">{lines(parts)}</div>'


def command(entry: CommandRecord) -> str:
    """Return a command with its outcome; its output is open if it failed."""
    said = "acts" if entry.changes else "looks"
    times = f" · {entry.times} times" if entry.times > 1 else ""
    summary = f'<code>$ {text(entry.command)}</code> <span class="fl-note">{_exit(entry)} · {span_text(entry.elapsed_s)}{times} · {said}</span>'
    if not entry.tail:
        return f'<div class="fl-command">{summary}</div>'
    is_open = " open" if entry.ended and entry.exit_code != 0 else ""
    tail = text("\n".join(entry.tail))
    return f'<details class="fl-command"{is_open}><summary>{summary}</summary><pre>{tail}</pre></details>'


def _exit(entry: CommandRecord) -> str:
    if not entry.ended:
        return '<b class="fl-open-text">no end recorded</b>'
    if entry.exit_code is None:
        return '<b class="fl-failed-text">ended by us, its time was up</b>'
    mark = "fl-failed-text" if entry.exit_code else "fl-met-text"
    return f'<b class="{mark}">exit {entry.exit_code}</b>'


def _block(name: str, body: str) -> str:
    return f'<div class="fl-block"><h4>{name}</h4><div>{body}</div></div>'


def _more(count: int, what: str) -> str:
    return f'<p class="fl-note">{count} more {what} are left off</p>' if count else ""


def _listed(items: Iterable[str]) -> str:
    return "".join(f"<div>{item}</div>" for item in items)


def _hint(hint: HintInfo, links: str) -> str:
    typed = f"<pre>{text(chr(10).join(hint.commands))}</pre>" if hint.commands else ""
    body = f"<b>{words(hint.cause)}</b><br>{words(hint.remedy)}{typed}{_link(hint.anchor, links)}"
    return f'<div class="fl-block fl-hint"><h4>hint {text(hint.id)}</h4><div>{body}</div></div>'


def _next(one: CriterionResult, report: Report, links: str) -> str:
    resume = report.head.resume_command
    steps = [_link(one.info.anchor, links)]
    if not one.holds and one.started_s is not None and resume and not report.head.plan:
        steps.append(f"then resume: <code>{text(resume)}</code>")
    return (
        _block("runbook" if one.holds else "next", " · ".join(step for step in steps if step))
        if any(steps)
        else ""
    )


def _link(anchor: str, links: str) -> str:
    return f'<a href="{text(links + anchor)}">{text(anchor)}</a>' if anchor else ""


def _facts(facts: tuple[tuple[str, str], ...]) -> str:
    rows = "".join(f"<tr><th>{text(key)}</th><td>{text(value)}</td></tr>" for key, value in facts)
    return f'<table class="fl-facts">{rows}</table>'


def _scenarios(one: CriterionResult) -> str:
    """Return what a tool that tests by itself found, what went wrong first; what passed is folded."""
    if not one.scenarios:
        return ""
    parts = []
    for standing, tone in _SCENARIO_TONES.items():
        found = [each for each in one.scenarios if each.standing is standing]
        if found:
            rows = "".join(
                f"<tr><th>{text(each.name)}</th><td>{text(each.words)}</td></tr>" for each in found
            )
            is_open = " open" if standing is ScenarioStanding.FAILED else ""
            pill = f'<span class="fl-pill fl-{tone}">{len(found)} {text(standing)}</span>'
            parts.append(
                f"<details{is_open}><summary>{pill}</summary><table class='fl-facts'>{rows}</table></details>"
            )
    return _block("scenarios", lines(parts))


def _action(entry: ActionRecord) -> str:
    if not entry.needed:
        return f"{text(entry.action)}: not needed, already so"
    outcome = {None: "no end recorded", True: "done", False: "failed"}[entry.ok]
    because = f", because {text(entry.reason)}" if entry.reason else ""
    detail = f": <samp>{text(entry.detail)}</samp>" if entry.detail else ""
    return f"► {text(entry.action)}{because}: {outcome} after {span_text(entry.elapsed_s)}{detail}"


def _wait(entry: WaitRecord) -> str:
    outcome = {None: "no end recorded", True: "so", False: "not so"}[entry.ok]
    attempts = f", {entry.attempts} attempts" if entry.attempts else ""
    budget = f" of {budget_text(entry.budget_s)}" if entry.budget_s else ""
    return (
        f"◎ {text(entry.condition)}: {outcome} after {span_text(entry.elapsed_s)}{budget}{attempts}"
    )


def _observations(one: CriterionResult) -> str:
    if not one.observations:
        return ""
    left_off = (
        f"<p>{one.observations_left_off} earlier ones left off</p>"
        if one.observations_left_off
        else ""
    )
    rows = "".join(
        f"<tr><th>{span_text(seen.elapsed_s)}</th><td>{text(seen.seen)}</td></tr>"
        for seen in one.observations
    )
    count = len(one.observations) + one.observations_left_off
    body = f"<details><summary>{count} seen</summary>{left_off}<table class='fl-facts'>{rows}</table></details>"
    return _block("observations", body)
