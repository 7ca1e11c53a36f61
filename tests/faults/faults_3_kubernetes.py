"""Faults of the control plane and of what is applied to it first: the VIP, the API server, secrets, CRDs."""

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
from tests.faults.bench import Bench, Case, check, check_in_turn, names_it
from tests.faults.ways import machine, nothing

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
        clears="onnection refused",
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
    """Neither answering nor ended, as a process is that gets no processor; what broke its ports is over."""
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
        clears="timed out",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_control_plane_that_does_not_answer_is_named(bench: Bench, case: Case):
    check(bench.at("kubernetes"), case)


def test_row_25_an_api_server_that_breaks_connections_off_is_named_and_waited_for(bench: Bench):
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


def test_row_56_an_object_that_is_applied_before_its_crd_is_named(bench: Bench):
    """Nothing is broken but the order; test_what_was_too_early_is_met_now is its end."""
    bench.at("kubernetes")

    said = bench.run("-k", TOO_EARLY.only, "--budget-factor", TOO_EARLY.factor)

    names_it(said, TOO_EARLY)


def test_row_26_an_api_that_is_not_there_is_named_to_whoever_asks_by_hand_and_waited_for_by_a_run(
    bench: Bench, tmp_path: Path
):
    bench.at("kubernetes")

    process = bench.begin(
        "-k", "bootstrap_secrets", pause="ActionBegun.*apply the bootstrap secrets"
    )
    bench.wait_until_told("ActionBegun.*apply the bootstrap secrets", process)
    with bench.faults.machine("*", kubernetes_api="refuses"):
        by_hand = refused(bench, tmp_path)
        bench.go_on()
        bench.wait_until_told("CommandEnded.*kubectl.* apply .*failed to download openapi", process)
    said = bench.ended(process)

    assert "couldn't get current server API group list" in by_hand
    assert match(by_hand)[0].id == "FL-026"
    assert said.code == 0, said.text[-4000:]
    assert said.verdict(SECRETS) == "met"
    assert said.hints(SECRETS) == []


def refused(bench: Bench, cache: Path) -> str:
    """Return what a kubectl that has not asked this cluster before says once the API refuses; one that has is sparing of words."""
    for number in range(100):
        done = bench.rehearsal.tool(
            "kubectl", "--cache-dir", str(cache / str(number)), "get", "nodes"
        )
        if done.returncode:
            return done.stderr
    raise AssertionError("the API goes on answering")


@contextmanager
def alternating(
    break_it: Callable[[], AbstractContextManager[None]], on_s: float, off_s: float
) -> Iterator[threading.Event]:
    """Break and mend again and again in the background; what is yielded is set once it is broken for the second time."""
    over, again = threading.Event(), threading.Event()

    def flap() -> None:
        for number in itertools.count(1):
            with break_it():
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
"""Longer than a look at the cluster waits for an answer; a command whose connection is open only takes longer."""


def test_row_25_bursts_of_broken_connections_and_a_flapping_api_server_are_outlived(bench: Bench):
    """While the CRDs are applied all connections end every other second; then the API server stops (SIGSTOP), goes on for two seconds and stops again."""
    bench.at("kubernetes")

    process = bench.begin("--stage", "secrets,crds")
    bench.wait_until_told("ActionBegun.*apply the CRDs", process)
    with alternating(lambda: bench.faults.machine("*", kubernetes_api="breaks_off"), 1.0, 2.0):
        bench.wait_until_told(BROKEN_OFF, process)
    with alternating(lambda: bench.faults.stopped("kube-apiserver"), STOPPED_S, 2.0) as again:
        assert again.wait(2 * STOPPED_S)
        assert process.poll() is None
    said = bench.ended(process)

    assert said.code == 0, said.text[-4000:]
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


def test_row_35_without_the_gateway_apis_crds_cilium_is_not_installed(bench: Bench):
    bench.at("crds")

    with gateway_crd_missing(bench):
        said = bench.run("-k", "crd_is_established or release_runs", "--budget-factor", "0.02")

    criterion = "crd-is-established-gateways.gateway.networking.k8s.io"
    assert said.code == 1
    assert said.verdict(criterion) == "not ready in time"
    assert "FL-225" in said.hints(criterion)
    assert said.verdict("release-runs-cilium") == "not reached"


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
def test_what_comes_too_early_is_named(bench: Bench, case: Case):
    """Nothing is broken but the order: the run is asked for a stage whose foundation is not laid."""
    bench.at("crds")

    said = bench.run("-k", case.only, "--budget-factor", case.factor)

    names_it(said, case)
