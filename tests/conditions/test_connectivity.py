"""The connectivity test is judged by scenario: only tested ones count, each with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.conditions.connectivity import connectivity_test_passes
from firstlight.events import ScenarioStanding
from firstlight.target import Connectivity
from firstlight.tools.cilium import Cilium
from tests.tools.scripted import TIMED_OUT, Said, ScriptedRunner, scripted

HERE = Connectivity(flags=("--curl-insecure",), lacks={"l7-proxy": "Envoy cannot be built here"})

BEGUN = """\
Cilium version: 1.18.5
🏃[cilium-test-1] Running 4 tests ...
[=] [cilium-test-1] Test [no-policies] [1/4]
  [-] Scenario [no-policies/pod-to-pod]
  [.] Action [no-policies/pod-to-pod:curl-ipv4-0: cilium-test-1/client-5 (10.42.3.5) -> cilium-test-1/echo-6 (10.42.4.6:8080)]
.  [-] Scenario [no-policies/pod-to-world]
  [.] Action [no-policies/pod-to-world:http-to-one.-ipv4-0: cilium-test-1/client-5 (10.42.3.5) -> one.-http (one.:80)]
"""  # noqa: E501
REST = """\
  [-] Skipping Scenario [no-policies/pod-to-hostport] (Feature host-port is disabled)
[=] [cilium-test-1] Skipping test [client-egress-l7] [2/4] (Feature l7-proxy is disabled)
[=] [cilium-test-1] Skipping test [egress-gateway] [3/4] (skipped by condition)
[=] [cilium-test-1] Test [all-ingress-deny] [4/4]
  [-] Scenario [all-ingress-deny/pod-to-pod]
"""
GOOD = (
    BEGUN
    + REST
    + (
        "\n✅ [cilium-test-1] All 2 tests (3 actions) successful, 2 tests "
        "skipped, 1 scenarios skipped.\n"
    )
)
CURL = (
    'command "curl -w %{local_ip} --silent http://one.:80" failed: command '
    "failed (pod=cilium-test-1/client-5): command terminated with exit code "
    "28"
)
BAD = (
    BEGUN
    + f".  ❌ .{CURL}\n"
    + REST
    + (
        "\n📋 Test Report [cilium-test-1]\n❌ 1/2 tests failed (1/3 actions), 2 "
        "tests skipped, 1 scenarios skipped:\nTest [no-policies]:\n"
    )
    + (
        "  ❌ no-policies/pod-to-world:http-to-one.-ipv4-0: "
        "cilium-test-1/client-5 (10.42.3.5) -> one.-http (one.:80)\n"
    )
)


# The CLI on three real Talos machines of each role, limited to one test, before the client's
# tcpdump stopped resolving names.
CAPTURED = (Path(__file__).parent / "captured" / "connectivity-one-failed.txt").read_text()


def runner(said: Said, *, removed: list[Said] | None = None) -> ScriptedRunner:
    return scripted({"delete namespace": removed or [Said()], "connectivity test": said})


def judged(said: Said, *, removed: list[Said] | None = None):
    return connectivity_test_passes(
        Cilium(runner(said, removed=removed), Path("k"), "c"), HERE
    ).probe()


def test_each_scenario_has_a_standing_and_a_reason():
    seen = judged(Said(GOOD))

    assert {one.name: (one.standing, one.words) for one in seen.scenarios} == {
        "no-policies/pod-to-pod": (ScenarioStanding.PASSED, ""),
        "no-policies/pod-to-world": (ScenarioStanding.PASSED, ""),
        "no-policies/pod-to-hostport": (ScenarioStanding.LEFT_OUT, "Feature host-port is disabled"),
        "client-egress-l7": (
            ScenarioStanding.NOT_VERIFIABLE,
            "Envoy cannot be built here (Feature l7-proxy is disabled)",
        ),
        "egress-gateway": (ScenarioStanding.LEFT_OUT, "skipped by condition"),
        "all-ingress-deny/pod-to-pod": (ScenarioStanding.PASSED, ""),
    }
    assert (seen.value, seen.seen) == (3, "3 passed, 1 not verifiable here, 2 left out")


def test_a_scenario_that_every_bootstrap_skips_has_its_reason():
    """The CLI reports "skipped by user", which has another reason if the target skips it too."""
    lacking = Connectivity(lacks={"skipped by user": "no network but their own"})
    skipped = GOOD.replace(
        "Skipping test [egress-gateway] [3/4] (skipped by condition)",
        "Skipping test [check-log-errors] [3/4] (skipped by user)",
    )
    found = runner(Said(skipped))

    seen = connectivity_test_passes(Cilium(found, Path("k"), "c"), lacking).probe()

    (told,) = [one for one in seen.scenarios if one.name == "check-log-errors"]
    assert told.standing is ScenarioStanding.LEFT_OUT
    assert told.words.startswith("it fails on any error in the logs since Cilium started")
    assert "--test !check-log-errors" in found.called[1].line.replace("'", "")


def test_a_failed_scenario_fails_the_criterion_with_the_message_of_the_tool():
    seen = judged(Said(BAD, exit_code=1))

    assert seen.unsatisfiable
    assert seen.seen == (
        "2 passed, 1 failed, 1 not verifiable here, 2 left out; first "
        f"no-policies/pod-to-world: {CURL}"
    )
    assert [one.name for one in seen.scenarios if one.standing is ScenarioStanding.FAILED] == [
        "no-policies/pod-to-world"
    ]


def test_a_test_that_fails_outside_its_scenarios_fails_the_criterion():
    text = GOOD.replace(
        "✅ [cilium-test-1] All 2 tests (3 actions) successful",
        "📋 Test Report [cilium-test-1]\n❌ 1/2 tests failed (0/3 actions)",
    )
    seen = judged(Said(text + "Test [all-ingress-deny]:\n", exit_code=1))

    assert [
        (one.name, one.words) for one in seen.scenarios if one.standing is ScenarioStanding.FAILED
    ] == [("all-ingress-deny", "failed outside its scenarios")]


def test_an_error_message_in_a_passed_test_is_not_a_failure():
    assert judged(
        Said(
            GOOD.replace(
                "  [-] Skipping Scenario", "  ❌ Failed to collect metrics\n  [-] Skipping Scenario"
            )
        )
    ).holds


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        (
            Said(
                BEGUN,
                stderr="\nError: connectivity test failed: context deadline exceeded\n",
                exit_code=1,
            ),
            (
                "ended after 1 of 4 tests (exit code 1): Error: connectivity test "
                "failed: context deadline exceeded"
            ),
        ),
        (
            Said(BEGUN, exit_code=-15, timed_out=True),
            "ended after 1 of 4 tests (timed out): ",
        ),
        (
            Said(stderr="Error: unable to list nodes\n", exit_code=1),
            "ended after 0 of 0 tests (exit code 1): Error: unable to list nodes",
        ),
        (TIMED_OUT, "ended after 0 of 0 tests (timed out): no answer"),
    ],
    ids=["cut off", "timed out", "never began", "silent"],
)
def test_an_incomplete_run_fails(said: Said, seen: str):
    observation = judged(said)

    assert observation.unsatisfiable
    assert observation.seen.startswith(seen)


def test_the_scenario_that_was_running_at_a_timeout_has_not_passed():
    seen = judged(Said(BEGUN, exit_code=-15, timed_out=True))

    assert [(one.name, one.standing) for one in seen.scenarios] == [
        ("no-policies/pod-to-pod", ScenarioStanding.PASSED),
        ("no-policies/pod-to-world", ScenarioStanding.FAILED),
    ]


def test_a_run_without_any_tested_scenario_fails():
    lines = [
        line
        for line in GOOD.splitlines(keepends=True)
        if "] Scenario [" not in line and "Action" not in line
    ]

    seen = judged(Said("".join(lines)))

    assert seen.seen == "nothing was tested: 1 not verifiable here, 2 left out"


def test_a_failing_exit_code_overrides_passed_scenarios():
    assert judged(Said(GOOD, exit_code=3)).unsatisfiable


def test_the_test_namespace_is_removed_before_and_after_the_test():
    asked = runner(Said(GOOD))

    connectivity_test_passes(Cilium(asked, Path("k"), "c"), HERE).probe()

    assert [called.argv[3:5] for called in asked.called] == [
        ["delete", "namespace"],
        ["connectivity", "test"],
        ["delete", "namespace"],
    ]
    test = asked.called[1].line
    assert "--verbose" in test
    assert "pod-security.kubernetes.io/enforce=privileged" in test
    assert test.endswith("--curl-insecure")


def test_the_test_does_not_run_beside_leftovers_of_an_earlier_one():
    stuck = Said(
        stderr="error: timed out waiting for the condition on namespaces/cilium-test-1", exit_code=1
    )
    asked = runner(Said(GOOD), removed=[stuck])

    seen = connectivity_test_passes(Cilium(asked, Path("k"), "c"), HERE).probe()

    assert (seen.holds, seen.unsatisfiable) == (False, False)
    assert "timed out waiting" in seen.seen
    assert len(asked.called) == 1


def test_a_namespace_that_cannot_be_removed_fails_the_criterion():
    stuck = Said(stderr="error: timed out", exit_code=1)

    seen = judged(Said(GOOD), removed=[Said(), stuck])

    assert (seen.holds, len(seen.scenarios)) == (False, 6)
    assert seen.seen.endswith("but its namespace cannot be removed: error: timed out")


def test_the_output_of_the_real_cli_is_read():
    seen = judged(Said(CAPTURED, exit_code=1))

    (failed,) = [one for one in seen.scenarios if one.standing is ScenarioStanding.FAILED]
    assert failed.name == "pod-to-pod-encryption-v2/pod-to-pod-encryption-v2"
    assert failed.words.startswith(
        "Failed to execute tcpdump on cilium-test-1/host-netns-n9n6v "
        "(infra-worker-2): failed to wait for tcpdump"
    )
    assert len({one.name.split("/")[0] for one in seen.scenarios}) == 121
    assert sum("l7-proxy" in one.words for one in seen.scenarios) == CAPTURED.count(
        "(Feature l7-proxy is disabled)"
    )
