"""Faults of releases and their pods: what Helm only calls a timeout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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


def cilium(
    row: int, name: str, hint: str, says: str, fault: str, *, container: str = "", message: str = "", which: str = "kube-system/cilium-"
) -> Case:
    return Case(
        row, name, pods(which, fault, container=container, message=message), "release_runs and cilium", CILIUM, hint, says, verdict="action failed"
    )


CASES = (
    cilium(30, "pull-limit", "FL-030", "toomanyrequests", "image_pull", message=PULL_LIMIT),
    cilium(32, "capability", "FL-032", "unable to apply caps", "start_error", container="clean-cilium-state", message=APPLY_CAPS),
    cilium(33, "no-kubeprism", "FL-033", ":7445", "crash", container="cilium-agent", message=KUBEPRISM),
)


@contextmanager
def impatient(bench: Bench) -> Iterator[None]:
    """Let Helm wait for six seconds: what is broken stays broken."""
    with bench.faults.changed(bench.tree / HELMFILE, "timeout: 20", "timeout: 6"):
        yield


def without_cilium(bench: Bench) -> None:
    """Remove what an earlier attempt left, as pods that run are broken by nothing."""
    bench.rehearsal.tool("helm", "--namespace", "kube-system", "uninstall", "cilium", "--no-hooks", "--ignore-not-found", "--wait")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_reason_why_cilium_does_not_start_is_named(bench: Bench, case: Case):
    without_cilium(bench.at("crds"))

    with case.breaking(bench), impatient(bench):
        said = bench.run("-k", case.only, "--budget-factor", case.factor)

    names_it(said, case)
