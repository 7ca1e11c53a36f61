"""`junit.xml`: only what was verified passes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.events import RunEnded, Verdict
from firstlight.report import fold
from firstlight.report.junit import junit_text
from tests.report import streams
from tests.report.test_model import RUNS


def parsed(stream):
    """Return the root element of the file."""
    return ET.fromstring(junit_text(fold(stream)))


def outcomes(root):
    """Return the outcome of each criterion's case, by ID."""
    found = {}
    for case in root.iterfind("./testsuite/testcase"):
        identifier = case.find("./properties/property[@name='id']")
        bad = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        found[identifier.get("value") if identifier is not None else "run"] = (
            bad[0] if bad else "passed"
        )
    return found


def test_a_good_run_passes_and_names_the_run():
    root = parsed(streams.good())

    assert set(outcomes(root).values()) == {"passed"}
    assert {key: root.get(key) for key in ("name", "tests", "failures", "errors", "skipped")} == {
        "name": "infra on nodes",
        "tests": "18",
        "failures": "0",
        "errors": "0",
        "skipped": "0",
    }
    facts = {
        one.get("name"): one.get("value")
        for one in root.iterfind("./testsuite[@name='run']/properties/property")
    }
    assert (facts["cluster"], facts["revision"], facts["conclusion"]) == (
        "infra",
        "main@2ffc5d3",
        "done: all 17 criteria met",
    )


def test_already_met_passes_under_its_own_name():
    root = parsed(streams.good())

    verdicts = {one.get("value") for one in root.iterfind(".//property[@name='verdict']")}
    assert verdicts == {"met", "already met"}


def test_a_failure_has_verdict_error_and_hint_and_the_rest_is_skipped_with_a_reason():
    root = parsed(streams.failed_action())
    failure = root.find(".//failure")

    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == (
        "action failed",
        "cannot install Cilium on infra: helmfile exited 1 after 12.0 s",
    )
    assert "hint F21: the chart's images cannot be pulled" in (failure.text or "")
    skipped = [one.get("message") for one in root.iterfind(".//skipped")]
    assert len(skipped) == 9
    assert set(skipped) == {"not reached: stopped before: Cilium is deployed with cluster.id 1"}
    assert outcomes(root)["run"] == "passed"


def test_what_cannot_be_verified_is_skipped_with_the_reason():
    root = parsed(streams.rehearsed())

    skipped = [(one.get("type"), one.get("message")) for one in root.iterfind(".//skipped")]
    assert len(skipped) == 3
    assert skipped[0] == (
        "not verifiable here",
        "not verifiable here: the simulated target has no pod-network",
    )


@pytest.mark.parametrize(
    ("run", "state"),
    [(streams.killed, "under way"), (streams.interrupted, "interrupted"), (list, "not started")],
)
def test_a_run_without_an_end_is_not_green(run, state):
    root = parsed(run())
    error = root.find("./testsuite[@name='run']/testcase/error")

    assert error is not None
    assert error.get("type") == state
    assert root.get("errors") == "1"


def test_a_run_that_failed_outside_any_criterion_is_not_green():
    stream = streams.good()
    stream[-1] = replace(stream[-1], event=RunEnded(1, interrupted=False))

    error = parsed(stream).find(".//error")

    assert error is not None
    assert "exit code 1 though no criterion failed" in (error.get("message") or "")


def test_a_plan_passes_only_what_holds():
    seen = outcomes(parsed(streams.plan()))

    assert [identifier for identifier, outcome in seen.items() if outcome == "passed"] == [
        "run",
        *[one.id for one in streams.CRITERIA[:3]],
    ]


@given(run=st.sampled_from(RUNS), cut=st.floats(0, 1))
def test_only_what_was_verified_passes_in_any_part_of_a_run(run, cut):
    stream = run()
    report = fold(stream[: round(cut * len(stream))])

    seen = outcomes(ET.fromstring(junit_text(report)))

    assert seen.pop("run") in ("passed", "error")
    assert {identifier for identifier, outcome in seen.items() if outcome == "passed"} == {
        one.info.id for one in report.criteria if one.holds
    }
    assert {identifier for identifier, outcome in seen.items() if outcome == "failure"} == {
        one.info.id for one in report.criteria if one.failed
    }


@given(foreign=st.text())
def test_no_text_can_break_the_file(foreign):
    report = fold(streams.failed_action(foreign))
    broken = replace(
        report,
        criteria=tuple(
            replace(one, verdict=Verdict.NOT_REACHED, reason=foreign) if one.failed else one
            for one in report.criteria
        ),
    )

    for made in (report, broken):
        assert ET.fromstring(junit_text(made)).tag == "testsuites"
