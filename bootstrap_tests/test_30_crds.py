"""Stage 30: secrets and CRDs are applied, before anything that uses them."""

from __future__ import annotations

import pytest

from firstlight.checklist import AC3, Box, Stage, Step, criterion
from firstlight.conditions.releases import CRDS_NAMESPACE, every_crd_release_deployed
from firstlight.conditions.secrets import bootstrap_secrets_present
from firstlight.conditions.workloads import crd_established, every_crd_established
from firstlight.definition.model import Cluster
from firstlight.run import Waiter
from firstlight.tools.helm_records import HelmRecords
from firstlight.tools.kubernetes import Kubernetes

CRDS = (
    "ciliumnetworkpolicies.cilium.io",
    "ciliumclusterwidenetworkpolicies.cilium.io",
    "ciliumloadbalancerippools.cilium.io",
    "certificates.cert-manager.io",
    "clusterissuers.cert-manager.io",
    "gateways.gateway.networking.k8s.io",
    "httproutes.gateway.networking.k8s.io",
)
"""The seven CRDs of the story, which Cilium's operator and Flux need on their first attempt."""


@criterion(
    Stage.CRDS,
    AC3,
    title="the bootstrap secrets are applied",
    task=3,
    budget_s=60,
    steps=(Step.SECRETS,),
)
def test_bootstrap_secrets_are_applied(
    secrets_applied: None, kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    wait(bootstrap_secrets_present(kubernetes, cluster))


@criterion(Stage.CRDS, AC3, title="the CRDs are applied", task=3, budget_s=120, steps=(Step.CRDS,))
def test_crds_are_applied(
    crds_applied: None,
    kubernetes: Kubernetes,
    helm_records: HelmRecords,
    cluster: Cluster,
    wait: Waiter,
) -> None:
    names = wait(every_crd_release_deployed(helm_records, cluster))
    releases = [(name, CRDS_NAMESPACE) for name in names]
    wait(every_crd_established(kubernetes, helm_records, releases, some=True))


@pytest.mark.parametrize("name", CRDS, ids=CRDS)
@criterion(
    Stage.CRDS,
    AC3,
    title="CRD {} is established",
    task=3,
    budget_s=120,
    boxes=(Box.CRDS,),
    steps=(Step.WAIT_CRDS,),
)
def test_crd_is_established(name: str, kubernetes: Kubernetes, wait: Waiter) -> None:
    wait(crd_established(kubernetes, name))
