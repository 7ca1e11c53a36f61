"""Scenarios that a tool tests itself are in every file; unverifiable ones never count as met."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from firstlight.events import CriterionEnded, ScenarioInfo, ScenarioStanding, Stamped, Verdict
from firstlight.report import Report, Standing, fold, to_json
from firstlight.report.junit import junit_text
from firstlight.report.markdown import markdown_text
from firstlight.report.page import evidence
from tests.report import streams

TEST = "the-connectivity-test-passes"
PASSED = ScenarioInfo("no-policies/pod-to-pod", ScenarioStanding.PASSED)
LEFT_OUT = ScenarioInfo(
    "egress-gateway", ScenarioStanding.LEFT_OUT, "Feature enable-ipv4-egress-gateway is disabled"
)
UNVERIFIABLE = ScenarioInfo(
    "client-egress-l7",
    ScenarioStanding.NOT_VERIFIABLE,
    "no Envoy here (Feature l7-proxy is disabled)",
)
FAILED = ScenarioInfo(
    "no-policies/pod-to-world", ScenarioStanding.FAILED, "curl exited 28 <at last>"
)


def with_scenarios(*scenarios: ScenarioInfo, verdict: Verdict = Verdict.MET) -> list[Stamped]:
    def changed(stamped: Stamped) -> Stamped:
        if isinstance(stamped.event, CriterionEnded) and stamped.event.id == TEST:
            return replace(
                stamped, event=replace(stamped.event, scenarios=scenarios, verdict=verdict)
            )
        return stamped

    return [changed(stamped) for stamped in streams.good()]


def group(report: Report, key: str):
    return next(one for one in (*report.acceptance, *report.checklist) if one.key == key)


def test_scenarios_that_were_left_out_do_not_count_against_a_criterion():
    report = fold(with_scenarios(PASSED, LEFT_OUT))

    assert group(report, "AC6").standing is Standing.MET
    assert group(report, "`cilium connectivity test` passes").ticked
    assert report.conclusion.standing is Standing.MET


def test_unverifiable_scenarios_keep_criterion_and_box_from_being_fully_met():
    report = fold(with_scenarios(PASSED, UNVERIFIABLE, UNVERIFIABLE))

    acceptance, box = group(report, "AC6"), group(report, "`cilium connectivity test` passes")
    assert (acceptance.standing, acceptance.words) == (
        Standing.MET_IN_PART,
        "met, 2 scenarios not verifiable here",
    )
    assert (box.standing, box.ticked, box.note) == (Standing.MET_IN_PART, False, UNVERIFIABLE.words)
    assert report.conclusion.standing is Standing.MET_IN_PART
    assert report.conclusion.text.endswith(
        "criteria met; 2 scenarios not verifiable on target nodes"
    )


def test_the_page_shows_each_scenario_and_expands_those_that_failed():
    report = fold(with_scenarios(PASSED, LEFT_OUT, UNVERIFIABLE, FAILED, verdict=Verdict.NOT_READY))
    (criterion,) = (one for one in report.criteria if one.info.id == TEST)

    page = evidence(criterion, report, "")

    for scenario in (PASSED, LEFT_OUT, UNVERIFIABLE, FAILED):
        assert scenario.name in page
    assert "curl exited 28 &lt;at last&gt;" in page
    assert (
        page.index("1 failed")
        < page.index("1 not verifiable here")
        < page.index("1 left out")
        < page.index("1 passed")
    )
    assert '<details open><summary><span class="fl-pill fl-failed">1 failed' in page


def test_scenarios_are_steps_of_their_test_in_ctrf():
    made = to_json(fold(with_scenarios(PASSED, LEFT_OUT, UNVERIFIABLE, FAILED)))
    (test,) = (one for one in made["results"]["tests"] if one["extra"]["id"] == TEST)

    assert [(step["name"], step["status"]) for step in test["steps"]] == [
        (PASSED.name, "passed"),
        (LEFT_OUT.name, "skipped"),
        (UNVERIFIABLE.name, "skipped"),
        (FAILED.name, "failed"),
    ]
    (criterion,) = (
        one for one in json.loads(json.dumps(made))["extra"]["criteria"] if one["id"] == TEST
    )
    assert criterion["scenarios"][2] == {
        "name": UNVERIFIABLE.name,
        "standing": "not verifiable here",
        "words": UNVERIFIABLE.words,
    }


def test_scenarios_are_a_separate_suite_in_junit():
    root = ET.fromstring(junit_text(fold(with_scenarios(PASSED, LEFT_OUT, UNVERIFIABLE, FAILED))))

    (suite,) = root.findall(f"./testsuite[@name='{TEST}']")
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "1", "2")
    (skipped,) = suite.findall(f"./testcase[@name='{UNVERIFIABLE.name}']/skipped")
    assert skipped.get("message") == f"not verifiable here: {UNVERIFIABLE.words}"


def test_the_summary_lists_unverifiable_scenarios_by_reason():
    text = markdown_text(fold(with_scenarios(PASSED, UNVERIFIABLE)))

    assert "- no Envoy here (Feature l7-proxy is disabled): client-egress-l7" in text


@pytest.mark.parametrize("number", [1, 2])
def test_scenarios_are_counted_in_singular_and_plural(number: int):
    report = fold(with_scenarios(PASSED, *[UNVERIFIABLE] * number))

    assert (
        group(report, "AC6").words
        == f"met, {number} scenario{'s' if number > 1 else ''} not verifiable here"
    )
