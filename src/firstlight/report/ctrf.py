"""The report as `report.json`: CTRF for other tools, with the whole model under `extra`.

The outer form is CTRF (https://ctrf.io): `reportFormat`, `specVersion`, `generatedBy`, `timestamp`,
`results.{tool,summary,tests,environment}`. Each test has our verdict as `rawStatus`. CTRF's
`status` is `passed` only for what was verified, `failed` for the two failures, `skipped` for
"not reached" and "not verifiable here", `pending` without a verdict, `other` in a plan. Durations
are milliseconds. The scenarios of a criterion that another tool tests are its `steps`: `passed`,
`failed` or else `skipped`, with standing and words.

`extra` holds the model. All times are seconds, and all keys are always present:

    schema        version of this part, raised when a key changes its meaning or is removed
    head          run_id cluster target revision plan stage state exit_code started_at ended_at
                  resume_command stand_ins[{name,stands_for,cannot_show}] tool_versions{}
                  nodes[{name,role,address}]
    conclusion    standing text next_step criterion detail advice
    timing        budget_s elapsed_s first_action_at ready_after_s verified_after_s total_s
                  counted_from share
    counts        {word: number}
    criteria      [{id number nodeid title acceptance[] task stage boxes[] budget_s anchor needs[]
                  verdict word started_s acting_s waiting_s last_observation error reason hints[]
                  evidence{} evidence_left_off scenarios[{name,standing,words}] actions[] waits[]
                  waits_left_off observations[] observations_left_off commands[] commands_left_off}]
    acceptance, checklist, stages
                  [{key title standing words ticked criteria[] holding acting_s waiting_s note}]
    comparison    earlier last_at last_revision regressed[{criterion,title,then,now,at}] mended[]
                  timed_with untimed stages[{key,title,then_s,now_s,slower}] slower[] verified;
                  null without an earlier run
    outside_commands  []
    diagnostics   null, or file pieces size_bytes elapsed_s trouble; `file` is in the report folder
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from firstlight.events import ScenarioInfo, ScenarioStanding, Verdict
from firstlight.report.model import CriterionResult, GroupResult, Report, RunState

if TYPE_CHECKING:
    from firstlight.report.model import TimeChange

SCHEMA: Final = 1
_STATUS: Final = {
    Verdict.MET: "passed",
    Verdict.ALREADY_MET: "passed",
    Verdict.ACTION_FAILED: "failed",
    Verdict.NOT_READY: "failed",
    Verdict.NOT_REACHED: "skipped",
    Verdict.NOT_VERIFIABLE: "skipped",
    Verdict.WILL_ACT: "other",
    Verdict.BLOCKED: "other",
}

Json = dict[str, Any]


def to_json(report: Report) -> Json:
    """Return the content of the report's JSON file."""
    head = report.head
    return {
        "reportFormat": "CTRF",
        "specVersion": "0.0.0",
        "generatedBy": "firstlight",
        "timestamp": head.ended_at,
        "results": {
            "tool": {"name": "pytest"},
            "summary": _summary(report),
            "tests": [_test(one) for one in report.criteria],
            "environment": {
                "appName": head.cluster,
                "testEnvironment": head.target,
                "commit": head.revision,
                "buildName": head.run_id,
            },
        },
        "extra": _model(report),
    }


def json_text(report: Report) -> str:
    """Return the text of the report's JSON file."""
    # A run writes it a hundred times, and only the compact form is fast; the last one is indented.
    indent = None if report.head.state is RunState.UNDER_WAY else 1
    return json.dumps(to_json(report), indent=indent, ensure_ascii=False) + "\n"


def _summary(report: Report) -> Json:
    status = [_status(one) for one in report.criteria]
    summary: Json = {
        name: status.count(name) for name in ("passed", "failed", "skipped", "pending", "other")
    }
    summary["tests"] = len(status)
    summary["start"] = _epoch_ms(report.head.started_at)
    summary["stop"] = _epoch_ms(report.head.ended_at)
    return summary


def _test(one: CriterionResult) -> Json:
    message = one.error.splitlines()[0] if one.error else one.reason
    return {
        "name": one.info.title,
        "status": _status(one),
        "rawStatus": one.word,
        "duration": round(one.took_s * 1000),
        "suite": [one.info.stage],
        "tags": list(one.info.acceptance),
        "filePath": one.info.nodeid.partition("::")[0],
        "message": message,
        "trace": one.error,
        "steps": [_step(scenario) for scenario in one.scenarios],
        "extra": {"id": one.info.id},
    }


def _step(one: ScenarioInfo) -> Json:
    judged = one.standing in (ScenarioStanding.PASSED, ScenarioStanding.FAILED)
    return {
        "name": one.name,
        "status": str(one.standing) if judged else "skipped",
        "extra": {"standing": one.standing, "words": one.words},
    }


def _status(one: CriterionResult) -> str:
    return "pending" if one.verdict is None else _STATUS[one.verdict]


def _epoch_ms(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).timestamp() * 1000) if stamp else 0


def _model(report: Report) -> Json:
    nodes = [
        dict(zip(("name", "role", "address"), node, strict=True)) for node in report.head.nodes
    ]
    return {
        "schema": SCHEMA,
        "head": {
            **_plain(report.head),
            "tool_versions": dict(report.head.tool_versions),
            "nodes": nodes,
        },
        "conclusion": _plain(report.conclusion),
        "timing": {**_plain(report.timing), "share": report.timing.share},
        "counts": dict(report.counts),
        "criteria": [_criterion(one) for one in report.criteria],
        "acceptance": [_group(one) for one in report.acceptance],
        "checklist": [_group(one) for one in report.checklist],
        "stages": [_group(one) for one in report.stages],
        "comparison": _comparison(report),
        "outside_commands": _plain(report.outside_commands),
        "diagnostics": _plain(report.diagnostics),
    }


def _criterion(one: CriterionResult) -> Json:
    plain: Json = _plain(one)
    info = plain.pop("info")
    info.pop("steps")
    return {**info, **plain, "evidence": dict(one.evidence)}


def _group(one: GroupResult) -> Json:
    return {**_plain(one), "ticked": one.ticked}


def _comparison(report: Report) -> Json | None:
    compared = report.comparison
    if compared is None:
        return None
    return {
        **_plain(compared),
        "stages": [_time(change) for change in compared.stages],
        "slower": [_time(change) for change in compared.slower],
        "verified": None if compared.verified is None else _time(compared.verified),
    }


def _time(change: TimeChange) -> Json:
    return {**_plain(change), "slower": change.slower}


def _plain(value: Any) -> Any:
    # dataclasses.asdict deep-copies every leaf, which takes seconds over a whole run.
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    names = _field_names(value.__class__)
    return {name: _plain(getattr(value, name)) for name in names} if names is not None else value


@cache
def _field_names(kind: type) -> tuple[str, ...] | None:
    return tuple(one.name for one in fields(kind)) if is_dataclass(kind) else None
