"""Faults of releases and their pods: those that Helm only reports as a timeout."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from firstlight.failures import match
from tests.chaos.terminations import descendants
from tests.faults.bench import Bench, Case, assert_reported, check
from tests.faults.breaking import machine, pods
from tests.waiting import until

pytestmark = pytest.mark.timeout(900)

CILIUM = "release-runs-cilium"
HELMFILE = "bootstrap/infra/helmfile.d/01-apps.yaml"

APPLY_CAPS = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
    "runc create failed: unable to start container process: error during container init: "
    "unable to apply caps: operation not permitted"
)
KUBEPRISM = (
    'level=error msg="Unable to contact k8s api-server" '
    'error="Get \\"https://localhost:7445/api/v1/namespaces/kube-system\\": '
    'dial tcp 127.0.0.1:7445: connect: connection refused"'
)
PULL_LIMIT = (
    'failed to pull and unpack image "quay.io/cilium/cilium:v1.18.5": '
    "failed to copy: httpReadSeeker: failed open: unexpected status code "
    "https://registry-1.docker.io/v2/: 429 Too Many Requests - "
    "Server message: toomanyrequests: You have reached your pull rate limit."
)
SPEGEL_GONE = (
    'failed to pull and unpack image "quay.io/cilium/cilium:v1.18.5": '
    'failed to resolve reference "quay.io/cilium/cilium:v1.18.5": failed to do request: '
    'Head "http://10.25.11.14:29999/v2/cilium/cilium/manifests/v1.18.5?ns=quay.io": '
    "dial tcp 10.25.11.14:29999: connect: connection refused"
)
TLS_ROUTE = (
    'level=fatal msg="failed to start: '
    'no kind is registered for the type v1alpha2.TLSRouteList in scheme"'
)


def cilium(
    row: int,
    name: str,
    hint: str,
    says: str,
    fault: str,
    *,
    which: str,
    container: str = "",
    message: str = "",
) -> Case:
    breaking = pods(which, fault, container=container, message=message)
    return Case(
        row, name, breaking, "release_runs and cilium", CILIUM, hint, says, verdict="action failed"
    )


AGENT, OPERATOR, ENVOY = (
    "kube-system/cilium-",
    "kube-system/cilium-operator-",
    "kube-system/cilium-envoy-",
)

TOGETHER = (
    (
        cilium(
            32,
            "capability",
            "FL-032",
            "unable to apply caps",
            "start_error",
            container="clean-cilium-state",
            message=APPLY_CAPS,
            which=AGENT,
        ),
        cilium(
            36,
            "no-tlsroute-crd",
            "FL-036",
            "TLSRouteList",
            "crash",
            message=TLS_ROUTE,
            which=OPERATOR,
        ),
        cilium(
            51, "spegel-is-gone", "FL-051", ":29999", "image_pull", message=SPEGEL_GONE, which=ENVOY
        ),
    ),
    (
        cilium(
            33,
            "no-kubeprism",
            "FL-033",
            ":7445",
            "crash",
            container="cilium-agent",
            message=KUBEPRISM,
            which=AGENT,
        ),
        cilium(
            30,
            "pull-limit",
            "FL-030",
            "toomanyrequests",
            "image_pull",
            message=PULL_LIMIT,
            which=OPERATOR,
        ),
    ),
    (cilium(31, "slow-image", "FL-031", "Back-off pulling image", "image_pull", which=ENVOY),),
)
"""Simultaneous faults of Cilium's workloads, one reason for each.

No more than the three hints that are shown.
"""


@contextmanager
def impatient(bench: Bench) -> Iterator[None]:
    """Give Helm a timeout of six seconds: what is broken stays broken."""
    with bench.faults.changed(bench.tree / HELMFILE, "timeout: 120", "timeout: 6"):
        yield


def without_cilium(bench: Bench) -> None:
    """Uninstall what an earlier attempt left, because faults do not affect running pods."""
    bench.rehearsal.tool(
        "helm",
        "--namespace",
        "kube-system",
        "uninstall",
        "cilium",
        "--no-hooks",
        "--ignore-not-found",
        "--wait",
    )


@pytest.mark.parametrize("cases", TOGETHER, ids=lambda cases: "+".join(map(str, cases)))
def test_the_reasons_why_cilium_does_not_start_are_reported(bench: Bench, cases: tuple[Case, ...]):
    without_cilium(bench.at("crds"))

    with ExitStack() as broken:
        for case in cases:
            broken.enter_context(case.fault(bench))
        broken.enter_context(impatient(bench))
        result = bench.run("-k", "release_runs and cilium", "--budget-factor", "0.02")

    for case in cases:
        assert_reported(result, case)


def test_rows_31_and_55_a_pending_release_is_repaired_and_a_late_image_waited_for(
    bench: Bench,
):
    without_cilium(bench.at("crds"))
    with bench.faults.pods(AGENT, "image_pull"):
        killed = bench.begin("-k", "release_runs and cilium")
        bench.wait_for_event("ActionBegun.*install cilium", killed)
        wait_for_pods(bench, "ImagePullBackOff", killed)
        for child in list(descendants(killed.pid))[::-1]:
            os.kill(child, signal.SIGKILL)
        assert bench.ended(killed).code == 1
        left = bench.rehearsal.tool("helm", "--namespace", "kube-system", "list", "--all")
        chart = bench.faults.paths.charts / "cilium-1.18.5.tgz"
        by_hand = bench.rehearsal.tool(
            "helm", "--namespace", "kube-system", "upgrade", "cilium", str(chart), "--reuse-values"
        )

        repairing = bench.begin("-k", "release_runs and cilium")
        bench.wait_for_event("CommandStarted.*helmfile.* sync", repairing)
        wait_for_pods(bench, "ImagePullBackOff", repairing)
    result = bench.ended(repairing)

    assert "pending-install" in left.stdout
    assert "another operation (install/upgrade/rollback) is in progress" in by_hand.stderr
    assert match(by_hand.stderr)[0].id == "FL-055"
    assert result.code == 0, result.text[-4000:]
    assert result.verdict(CILIUM) == "met"


def wait_for_pods(bench: Bench, word: str, process: subprocess.Popen[str]) -> None:
    """Wait until a pod is in a state while a run continues."""

    def there() -> bool:
        return word in bench.kubectl("--namespace", "kube-system", "get", "pods")

    until(lambda: there() or process.poll() is not None, within_s=60, pause_s=0.3)
    assert process.poll() is None, process.communicate()[0][-3000:]
    assert there(), f"no pod is in {word}"


def installed(bench: Bench, *releases: str) -> None:
    """Install these releases if they are missing."""
    there = bench.rehearsal.tool(
        "helm", "list", "--all-namespaces", "--deployed", "--short"
    ).stdout.split()
    if not set(releases) <= set(there):
        result = bench.run("-k", f"release_runs and ({' or '.join(releases)})")
        assert result.code == 0, result.text[-4000:]


@contextmanager
def someone_elses_account(bench: Bench) -> Iterator[None]:
    bench.kubectl("--namespace", "kube-system", "create", "serviceaccount", "coredns")
    try:
        yield
    finally:
        bench.kubectl("--namespace", "kube-system", "delete", "serviceaccount", "coredns")


def test_row_47_an_object_that_helm_does_not_own_is_reported(bench: Bench):
    bench.at("crds")
    installed(bench, "cilium")
    case = Case(
        47,
        "foreign",
        someone_elses_account,
        "release_runs and coredns",
        "release-runs-coredns",
        "FL-047",
        "invalid ownership metadata",
        verdict="action failed",
    )

    check(bench, case)


SPEGEL = "clusters/infra/flux/config/spegel/helmrelease.yaml"


@contextmanager
def spegel_in_a_namespace_of_its_own(bench: Bench) -> Iterator[None]:
    with ExitStack() as stack:
        for file, before, after in (
            (
                SPEGEL,
                "  name: spegel\n  namespace: kube-system\nspec:",
                "  name: spegel\n  namespace: spegel\nspec:",
            ),
            (
                SPEGEL.replace("helmrelease", "ocirepository"),
                "namespace: kube-system",
                "namespace: spegel",
            ),
            (
                HELMFILE,
                "  - name: spegel\n    namespace: kube-system",
                "  - name: spegel\n    namespace: spegel",
            ),
            (HELMFILE, "kube-system/spegel", "spegel/spegel"),
        ):
            stack.enter_context(bench.faults.changed(bench.tree / file, before, after))
        stack.enter_context(impatient(bench))
        yield


def test_row_52_spegel_refused_by_pod_security_is_reported(bench: Bench):
    bench.at("crds")
    installed(bench, "cilium", "coredns")
    case = Case(
        52,
        "psa",
        spegel_in_a_namespace_of_its_own,
        "release_runs and spegel",
        "release-runs-spegel",
        "FL-052",
        "violates PodSecurity",
        verdict="action failed",
    )

    with case.fault(bench):
        result = bench.run("-k", case.selection, "--budget-factor", case.factor)

    assert_reported(result, case)
    bench.rehearsal.tool("helm", "--namespace", "spegel", "uninstall", "spegel", "--no-hooks")
    bench.kubectl("delete", "namespace", "spegel", "--wait=false")
    assert bench.run("-k", case.selection).code == 0


def test_row_54_a_hook_that_never_ends_is_reported_and_installed_later(bench: Bench):
    bench.at("crds")
    installed(bench, "cilium", "coredns", "spegel")
    case = Case(
        54,
        "startupapicheck",
        pods("cert-manager/cert-manager-startupapicheck", "no_sandbox"),
        "release_runs and cert-manager",
        "release-runs-cert-manager",
        "FL-054",
        "failed post-install",
        verdict="action failed",
    )

    with impatient(bench), case.fault(bench):
        result = bench.run("-k", case.selection, "--budget-factor", case.factor)

    assert_reported(result, case)
    assert bench.run("-k", case.selection).code == 0


HEALTH = (
    Case(
        22,
        "node-lost",
        machine("infra-worker-2", down=True),
        "talosctl_health",
        "talosctl-health-passes",
        "FL-022",
        "talosctl health",
        repair_after="Observed .*talosctl health to pass",
    ),
    Case(
        23,
        "csr-not-approved",
        machine("infra-worker-2", csr_unapproved=True),
        "talosctl_health",
        "talosctl-health-passes",
        "FL-023",
        "CSR is not approved",
        repair_after="CSR is not approved",
    ),
)


@pytest.mark.parametrize("case", HEALTH, ids=str)
def test_an_unhealthy_cluster_is_reported(bench: Bench, case: Case):
    check(bench.at("apps"), case)


def not_ready(bench: Bench) -> None:
    bench.kubectl("wait", "--for=condition=Ready=Unknown", "--timeout=110s", "node/infra-worker-2")


def test_row_27_nodes_that_are_not_ready_are_counted_and_named(bench: Bench):
    case = Case(
        27,
        "mixed",
        machine("infra-worker-2", kubelet_fails=True),
        "every_node_is_ready",
        "every-node-is-ready",
        "FL-027",
        "5 of 6 Ready; infra-worker-2",
        repair_after="5 of 6 Ready",
        prepare=not_ready,
    )

    check(bench.at("apps"), case)


def test_what_was_too_early_is_met_now(bench: Bench):
    """Rows 21, 57 and 63, which came too early before Cilium, pass now."""
    bench.at("apps")

    result = bench.run(
        "-k", "every_node_is_ready or (release_runs and coredns) or flux_check_passes"
    )

    assert result.code == 0, result.text[-4000:]
