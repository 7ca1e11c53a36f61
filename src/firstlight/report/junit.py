"""The report as `junit.xml`, for tools that read test results.

A suite for each stage, a case for each criterion. A criterion that another tool tests has one more
suite, with a case for each of the tool's scenarios.

Only what was verified passes. `failure` stands for the two failures and `skipped` for what was not
verified, each with verdict and reason; the verdict is also a property of every case. A killed run
would look good to a tool that counts failures, because everything that it did not reach is
skipped. So there is one more suite, `run`, whose only case passes if the run ended properly.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Final

from firstlight.events import ScenarioStanding
from firstlight.printable import printable
from firstlight.report.model import RunState, Standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstlight.events import ScenarioInfo
    from firstlight.report.model import CriterionResult, Report

_NOT_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_text(report: Report) -> str:
    """Return the text of the report's JUnit file."""
    head = report.head
    root = ET.Element("testsuites", {"name": _clean(f"{head.cluster} on {head.target}")})
    root.append(_run(report))
    for stage in report.stages:
        members = [one for one in report.criteria if one.info.stage == stage.key]
        root.append(
            _suite(stage.key, [_case(one) for one in members], head.started_at, stage.took_s)
        )
        for one in (one for one in members if one.scenarios):
            root.append(
                _suite(
                    one.info.id,
                    [_scenario(each, one) for each in one.scenarios],
                    head.started_at,
                    one.took_s,
                )
            )
    cases = root.findall("./testsuite/testcase")
    root.attrib |= _tally(cases) | {"time": f"{report.timing.elapsed_s:.3f}"}
    ET.indent(root, " ")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _run(report: Report) -> ET.Element:
    """Return the suite that describes the run and fails if the run did not end properly."""
    head, conclusion = report.head, report.conclusion
    case = ET.Element(
        "testcase",
        {
            "classname": "run",
            "name": "the run comes to its end",
            "time": f"{report.timing.elapsed_s:.3f}",
        },
    )
    unexplained = conclusion.standing is Standing.FAILED and not any(
        one.failed for one in report.criteria
    )
    blocked = head.plan and head.exit_code == 1
    if head.state is not RunState.FINISHED or unexplained or blocked:
        error = ET.SubElement(
            case, "error", {"type": str(head.state), "message": _clean(conclusion.text)}
        )
        error.text = _clean(f"to continue: {conclusion.next_step}") if conclusion.next_step else ""
    suite = _suite("run", [case], head.started_at, report.timing.elapsed_s)
    facts = {
        "cluster": head.cluster,
        "target": head.target,
        "revision": head.revision,
        "run": head.run_id,
        "state": str(head.state),
        "stage": head.stage,
        "plan": "yes" if head.plan else "no",
        "conclusion": conclusion.text,
        **{
            f"stand-in {one.name}": f"{one.stands_for}; cannot show {one.cannot_show}"
            for one in head.stand_ins
        },
    }
    suite.insert(0, _properties(facts))
    return suite


def _case(one: CriterionResult) -> ET.Element:
    attributes = {
        "classname": _clean(one.info.stage),
        "name": _clean(one.info.title),
        "time": f"{one.took_s:.3f}",
    }
    case = ET.Element("testcase", attributes)
    case.append(
        _properties(
            {"verdict": one.word, "id": one.info.id, "acceptance": " ".join(one.info.acceptance)}
        )
    )
    if one.failed:
        message = one.first_line or one.last_observation
        failure = ET.SubElement(case, "failure", {"type": one.word, "message": _clean(message)})
        failure.text = _clean(
            "\n".join(
                (one.error, *(f"hint {hint.id}: {hint.cause}. {hint.remedy}" for hint in one.hints))
            )
        )
    elif not one.holds:
        ET.SubElement(
            case,
            "skipped",
            {
                "type": one.word,
                "message": _clean(f"{one.word}: {one.reason}" if one.reason else one.word),
            },
        )
    if one.last_observation:
        ET.SubElement(case, "system-out").text = _clean(one.last_observation)
    return case


def _scenario(scenario: ScenarioInfo, of: CriterionResult) -> ET.Element:
    # Tools do not report the time of a scenario; the criterion has the time of all.
    case = ET.Element(
        "testcase", {"classname": _clean(of.info.id), "name": _clean(scenario.name), "time": "0"}
    )
    if scenario.standing is ScenarioStanding.FAILED:
        ET.SubElement(
            case, "failure", {"type": str(scenario.standing), "message": _clean(scenario.words)}
        )
    elif scenario.standing is not ScenarioStanding.PASSED:
        ET.SubElement(
            case,
            "skipped",
            {
                "type": str(scenario.standing),
                "message": _clean(f"{scenario.standing}: {scenario.words}"),
            },
        )
    return case


def _suite(name: str, cases: Sequence[ET.Element], started_at: str, took_s: float) -> ET.Element:
    suite = ET.Element(
        "testsuite", {"name": _clean(name), **_tally(cases), "time": f"{took_s:.3f}"}
    )
    if started_at:
        suite.set("timestamp", started_at)
    suite.extend(cases)
    return suite


def _tally(cases: Sequence[ET.Element]) -> dict[str, str]:
    counted = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    return {
        "tests": str(len(cases)),
        **{
            key: str(sum(case.find(tag) is not None for case in cases))
            for key, tag in counted.items()
        },
    }


def _properties(facts: dict[str, str]) -> ET.Element:
    properties = ET.Element("properties")
    for name, value in facts.items():
        ET.SubElement(properties, "property", {"name": _clean(name), "value": _clean(value)})
    return properties


def _clean(raw: str) -> str:
    """Return text that XML can represent; the serializer escapes it."""
    return _NOT_XML.sub("", printable(raw))
