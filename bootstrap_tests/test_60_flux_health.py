"""Stage 60: Flux is healthy, and the hand-off changed nothing."""

from __future__ import annotations

import pytest

from firstlight.conditions.gitops import (
    flux_check_passes,
    flux_has_no_failure,
    handed_off_without_rollout,
    helm_releases_ready,
)
from firstlight.conditions.workloads import deployment, workload_runs
from firstlight.definition.model import Cluster
from firstlight.target import Capability
from firstlight.tools.flux import Flux
from firstlight.tools.kubernetes import Kubernetes
from fixtures.criterion import criterion
from fixtures.performing import Waiter

CONTROLLERS = (
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
)
HELM = (Capability.HELM_CONTROLLER,)


@criterion(
    "AC5", "flux check passes", task=6, budget_s=300, boxes=("`flux check` passes all checks",)
)
def test_flux_check_passes(flux: Flux, wait: Waiter) -> None:
    assert "all checks passed" in wait(flux_check_passes(flux))


@pytest.mark.parametrize("name", CONTROLLERS, ids=CONTROLLERS)
@criterion("AC5", "{} is healthy", task=6, budget_s=180, boxes=("Flux pods running and healthy",))
def test_controller_is_healthy(name: str, kubernetes: Kubernetes, wait: Waiter) -> None:
    assert wait(workload_runs(kubernetes, deployment("flux-system", name))) > 0


@criterion("AC5", "Flux has taken over every release", task=6, budget_s=600, needs=HELM)
def test_flux_has_taken_over_every_release(
    kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    assert wait(helm_releases_ready(kubernetes, cluster)).keys() >= {
        release.name for release in cluster.releases
    }


@criterion("AC5", "flux get all shows no failure", task=6, budget_s=300)
def test_flux_get_all_shows_no_failure(flux: Flux, wait: Waiter) -> None:
    assert wait(flux_has_no_failure(flux)) > 0


@criterion("AC5", "the hand-off to Flux caused no rollout", task=6, budget_s=60, needs=HELM)
def test_the_hand_off_caused_no_rollout(
    kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    assert wait(handed_off_without_rollout(kubernetes, cluster)) > 0
