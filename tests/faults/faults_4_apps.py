"""Faults of releases and their pods: what Helm only calls a timeout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.faults.bench import Bench, Case, names_it
from tests.faults.ways import pods

pytestmark = pytest.mark.timeout(900)

CILIUM = "release-runs-cilium"
HELMFILE = "bootstrap/infra/helmfile.d/01-apps.yaml"

APPLY_CAPS = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: error during container init: unable to apply caps: operation not permitted"
)
KUBEPRISM = 'level=error msg="Unable to contact k8s api-server" error="Get \\"https://localhost:7445/api/v1/namespaces/kube-system\\": dial tcp 127.0.0.1:7445: connect: connection refused"'
PULL_LIMIT = (
    'failed to pull and unpack image "quay.io/cilium/cilium:v1.18.5": failed to copy: httpReadSeeker: failed open: unexpected status code '
    "https://registry-1.docker.io/v2/: 429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit."
)
SPEGEL_GONE = (
    'failed to pull and unpack image "quay.io/cilium/cilium:v1.18.5": failed to resolve reference "quay.io/cilium/cilium:v1.18.5": failed to do request: '
    'Head "http://10.25.11.14:29999/v2/cilium/cilium/manifests/v1.18.5?ns=quay.io": dial tcp 10.25.11.14:29999: connect: connection refused'
)
TLS_ROUTE = 'level=fatal msg="failed to start: no kind is registered for the type v1alpha2.TLSRouteList in scheme"'


def cilium(row: int, name: str, hint: str, says: str, fault: str, *, which: str, container: str = "", message: str = "") -> Case:
    breaking = pods(which, fault, container=container, message=message)
    return Case(row, name, breaking, "release_runs and cilium", CILIUM, hint, says, verdict="action failed")


AGENT, OPERATOR, ENVOY = "kube-system/cilium-", "kube-system/cilium-operator-", "kube-system/cilium-envoy-"

TOGETHER = (
    (
        cilium(32, "capability", "FL-032", "unable to apply caps", "start_error", container="clean-cilium-state", message=APPLY_CAPS, which=AGENT),
        cilium(36, "no-tlsroute-crd", "FL-036", "TLSRouteList", "crash", message=TLS_ROUTE, which=OPERATOR),
        cilium(51, "spegel-is-gone", "FL-051", ":29999", "image_pull", message=SPEGEL_GONE, which=ENVOY),
    ),
    (
        cilium(33, "no-kubeprism", "FL-033", ":7445", "crash", container="cilium-agent", message=KUBEPRISM, which=AGENT),
        cilium(30, "pull-limit", "FL-030", "toomanyrequests", "image_pull", message=PULL_LIMIT, which=OPERATOR),
    ),
)
"""What may befall Cilium's workloads at the same time, one reason for each of them; no more than the three hints that are shown."""


@contextmanager
def impatient(bench: Bench) -> Iterator[None]:
    """Let Helm wait for six seconds: what is broken stays broken."""
    with bench.faults.changed(bench.tree / HELMFILE, "timeout: 20", "timeout: 6"):
        yield


def without_cilium(bench: Bench) -> None:
    """Remove what an earlier attempt left, as pods that run are broken by nothing."""
    bench.rehearsal.tool("helm", "--namespace", "kube-system", "uninstall", "cilium", "--no-hooks", "--ignore-not-found", "--wait")


@pytest.mark.parametrize("cases", TOGETHER, ids=lambda cases: "+".join(map(str, cases)))
def test_the_reasons_why_cilium_does_not_start_are_named(bench: Bench, cases: tuple[Case, ...]):
    without_cilium(bench.at("crds"))

    with ExitStack() as broken:
        for case in cases:
            broken.enter_context(case.breaking(bench))
        broken.enter_context(impatient(bench))
        said = bench.run("-k", "release_runs and cilium", "--budget-factor", "0.02")

    for case in cases:
        names_it(said, case)
