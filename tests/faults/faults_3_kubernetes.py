"""Faults of the control plane and of the first objects: VIP, API server, secrets, CRDs."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from firstlight.failures import match
from firstlight.tools.kubernetes import REQUEST_S
from tests.faults.bench import Bench, Case, assert_reported, check, check_in_turn
from tests.faults.breaking import machine, nothing

pytestmark = pytest.mark.timeout(900)

VIP = "the-cluster-endpoint-answers-on-6443"
TALOS_VIP = "the-cluster-endpoint-answers-on-50000"
SECRETS = "bootstrap-secrets-are-applied"

CASES = (
    Case(
        16,
        "no-vip",
        machine("*", no_vip=True),
        "endpoint_answers_on_6443",
        VIP,
        "FL-016",
        "onnection refused",
        repair_after="onnection refused",
    ),
    Case(
        17,
        "vip-not-in-certificate",
        machine("*", certificate_without_vip=True),
        "endpoint_answers_on_50000",
        TALOS_VIP,
        "FL-017",
        "x509: certificate is valid for",
    ),
)


@contextmanager
def api_server_stopped(bench: Bench) -> Iterator[None]:
    """Stop the API server: it neither answers nor ends.

    The previous fault of its ports is repaired.
    """
    with bench.faults.machine("*", kubernetes_api=""), bench.faults.stopped("kube-apiserver"):
        yield


REGISTERED = "every-node-is-registered-under-its-own-name"

BREAKING_OFF = (
    Case(
        25,
        "api-resets",
        machine("*", kubernetes_api="resets"),
        "registered_under",
        REGISTERED,
        "FL-025",
        "Connection reset by peer",
    ),
    Case(
        25,
        "api-hangs",
        machine("*", kubernetes_api="hangs"),
        "registered_under",
        REGISTERED,
        "FL-025",
        "timed out",
    ),
    Case(
        25,
        "api-stopped",
        api_server_stopped,
        "registered_under",
        REGISTERED,
        "FL-025",
        "timed out",
        repair_after="timed out",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_control_plane_that_does_not_answer_is_reported(bench: Bench, case: Case):
    check(bench.at("kubernetes"), case)


def test_row_25_an_api_server_that_drops_connections_is_reported_and_waited_for(bench: Bench):
    check_in_turn(bench.at("kubernetes"), *BREAKING_OFF)


TOO_EARLY = Case(
    56,
    "no-crds-of-flux",
    nothing,
    "gitrepository_is_ready",
    "the-gitrepository-is-ready",
    "FL-056",
    "no matches for kind",
    verdict="action failed",
)


def test_row_56_an_object_that_is_applied_before_its_crd_is_reported(bench: Bench):
    """Only the order is wrong; `test_what_was_too_early_is_met_now` is its repair."""
    bench.at("kubernetes")

    result = bench.run("-k", TOO_EARLY.selection, "--budget-factor", TOO_EARLY.factor)

    assert_reported(result, TOO_EARLY)


def test_row_26_a_missing_api_has_its_row_by_hand_and_is_waited_for_by_a_run(
    bench: Bench, tmp_path: Path
):
    bench.at("kubernetes")

    process = bench.begin(
        "-k", "bootstrap_secrets", pause="ActionBegun.*apply the bootstrap secrets"
    )
    bench.wait_for_event("ActionBegun.*apply the bootstrap secrets", process)
    with bench.faults.machine("*", kubernetes_api="refuses"):
        by_hand = refused(bench, tmp_path)
        bench.resume()
        bench.wait_for_event("CommandEnded.*kubectl.* apply .*failed to download openapi", process)
    result = bench.ended(process)

    assert "couldn't get current server API group list" in by_hand
    assert match(by_hand)[0].id == "FL-026"
    assert result.code == 0, result.text[-4000:]
    assert result.verdict(SECRETS) == "met"
    assert result.hints(SECRETS) == []


def refused(bench: Bench, cache: Path) -> str:
    """Return the error of a kubectl without discovery cache once the API refuses connections.

    A kubectl with a cache prints less.
    """
    for number in range(100):
        done = bench.rehearsal.tool(
            "kubectl", "--cache-dir", str(cache / str(number)), "get", "nodes"
        )
        if done.returncode:
            return done.stderr
    raise AssertionError("the API goes on answering")


@contextmanager
def alternating(
    fault: Callable[[], AbstractContextManager[None]], on_s: float, off_s: float
) -> Iterator[threading.Event]:
    """Break and repair repeatedly in the background. The event is set when it breaks again."""
    over, again = threading.Event(), threading.Event()

    def flap() -> None:
        for number in itertools.count(1):
            with fault():
                if number > 1:
                    again.set()
                over.wait(on_s)
            if over.wait(off_s):
                return

    thread = threading.Thread(target=flap)
    thread.start()
    try:
        yield again
    finally:
        over.set()
        thread.join()


BROKEN_OFF = r"\bEOF\b|reset by peer|connection lost|connection aborted|without response"

STOPPED_S = REQUEST_S + 2
"""Longer than a check of the cluster waits for an answer. Commands wait as long as it takes."""


def test_row_25_a_run_survives_bursts_of_broken_connections_and_a_flapping_api_server(bench: Bench):
    """While the CRDs are applied, all connections end every other second.

    Then the API server stops (SIGSTOP), continues for two seconds and stops again.
    """
    bench.at("kubernetes")

    process = bench.begin("--stage", "secrets,crds")
    bench.wait_for_event("ActionBegun.*apply the CRDs", process)
    with alternating(lambda: bench.faults.machine("*", kubernetes_api="breaks_off"), 1.0, 2.0):
        bench.wait_for_event(BROKEN_OFF, process)
    with alternating(lambda: bench.faults.stopped("kube-apiserver"), STOPPED_S, 2.0) as again:
        assert again.wait(2 * STOPPED_S)
        assert process.poll() is None
    result = bench.ended(process)

    assert result.code == 0, result.text[-4000:]
    bench.stage = "crds"


@contextmanager
def gateway_crd_missing(bench: Bench) -> Iterator[None]:
    name = "gateways.gateway.networking.k8s.io"
    crd = json.loads(bench.kubectl("get", "crd", name, "--output", "json"))
    bench.kubectl("delete", "crd", name)
    try:
        yield
    finally:
        crd.pop("status")
        for key in ("resourceVersion", "uid", "creationTimestamp", "generation"):
            crd["metadata"].pop(key)
        bench.kubectl("create", "--filename", "-", text=json.dumps(crd))


def test_row_35_without_the_gateway_api_crds_cilium_is_not_installed(bench: Bench):
    bench.at("crds")

    with gateway_crd_missing(bench):
        result = bench.run("-k", "crd_is_established or release_runs", "--budget-factor", "0.02")

    criterion = "crd-is-established-gateways.gateway.networking.k8s.io"
    assert result.code == 1
    assert result.verdict(criterion) == "not ready in time"
    assert "FL-225" in result.hints(criterion)
    assert result.verdict("release-runs-cilium") == "not reached"


NEEDS = (
    Case(
        21,
        "no-cni-yet",
        nothing,
        "every_node_is_ready",
        "every-node-is-ready",
        "FL-021",
        "0 of 6 Ready",
    ),
    Case(
        57,
        "needs-not-deployed",
        nothing,
        "release_runs and coredns",
        "release-runs-coredns",
        "FL-057",
        "must be deployed before it",
        verdict="action failed",
    ),
    Case(
        63,
        "no-flux-yet",
        nothing,
        "flux_check_passes",
        "flux-check-passes",
        "FL-063",
        "no controllers found",
    ),
)


@pytest.mark.parametrize("case", NEEDS, ids=str)
def test_what_comes_too_early_is_reported(bench: Bench, case: Case):
    """Only the order is wrong: the stage before the requested one has not run."""
    bench.at("crds")

    result = bench.run("-k", case.selection, "--budget-factor", case.factor)

    assert_reported(result, case)
