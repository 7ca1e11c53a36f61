"""Stage 30: secrets and CRDs, before anything that uses them."""

from __future__ import annotations

import pytest

from firstlight.conditions.manifests import secrets_present
from firstlight.conditions.releases import release_deployed
from firstlight.conditions.workloads import crd_established
from firstlight.definition.model import Cluster
from firstlight.tools.helm import Helm
from firstlight.tools.kubernetes import Kubernetes
from fixtures.criterion import criterion
from fixtures.performing import Waiter

CRDS = (
    "ciliumnetworkpolicies.cilium.io",
    "ciliumclusterwidenetworkpolicies.cilium.io",
    "ciliumloadbalancerippools.cilium.io",
    "certificates.cert-manager.io",
    "clusterissuers.cert-manager.io",
    "gateways.gateway.networking.k8s.io",
    "httproutes.gateway.networking.k8s.io",
)
"""The story's seven: what Cilium's operator and the first resources of Flux need on their first attempt."""


@criterion("AC3", "the bootstrap secrets are applied", task=3, budget_s=60)
def test_bootstrap_secrets_are_applied(
    secrets_applied: None, kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    assert wait(secrets_present(kubernetes, cluster)) == {
        cluster.sync.secret,
        cluster.sync.decryption_secret,
    }


@criterion("AC3", "the CRDs are applied", task=3, budget_s=120)
def test_crds_are_applied(crds_applied: None, helm: Helm, cluster: Cluster, wait: Waiter) -> None:
    statuses = [
        wait(release_deployed(helm, name, "kube-system")).status for name in cluster.crd_releases
    ]

    assert statuses
    assert set(statuses) == {"deployed"}


@pytest.mark.parametrize("name", CRDS, ids=CRDS)
@criterion(
    "AC3",
    "CRD {} is established",
    task=3,
    budget_s=120,
    boxes=("All CRDs are established and Ready",),
)
def test_crd_is_established(name: str, kubernetes: Kubernetes, wait: Waiter) -> None:
    assert wait(crd_established(kubernetes, name)) == name
