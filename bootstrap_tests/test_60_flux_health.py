"""Stage 60: Flux is healthy, and the hand-off changed nothing."""

from __future__ import annotations

import pytest

from firstlight.checklist import AC5, Box, Capability, Stage, criterion
from firstlight.conditions.gitops import (
    every_helm_release_ready,
    flux_check_passes,
    flux_has_no_failure,
    handed_off_without_rollout,
)
from firstlight.conditions.workloads import deployment, workload_runs
from firstlight.definition.model import Cluster
from firstlight.run import Waiter
from firstlight.tools.flux import Flux
from firstlight.tools.kubernetes import Kubernetes

CONTROLLERS = (
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
)
HELM = (Capability.HELM_CONTROLLER,)


@criterion(
    Stage.FLUX_HEALTH, AC5, title="flux check passes", task=6, budget_s=300, boxes=(Box.FLUX_CHECK,)
)
def test_flux_check_passes(flux: Flux, wait: Waiter) -> None:
    wait(flux_check_passes(flux))


@pytest.mark.parametrize("name", CONTROLLERS, ids=CONTROLLERS)
@criterion(Stage.FLUX_HEALTH, AC5, title="{} is healthy", task=6, budget_s=180, boxes=(Box.FLUX,))
def test_controller_is_healthy(name: str, kubernetes: Kubernetes, wait: Waiter) -> None:
    wait(workload_runs(kubernetes, deployment("flux-system", name)))


@criterion(
    Stage.FLUX_HEALTH,
    AC5,
    title="Flux has taken over every release",
    task=6,
    budget_s=600,
    needs=HELM,
)
def test_flux_has_taken_over_every_release(
    kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    wait(every_helm_release_ready(kubernetes, cluster))


@criterion(Stage.FLUX_HEALTH, AC5, title="flux get all shows no failure", task=6, budget_s=300)
def test_flux_get_all_shows_no_failure(flux: Flux, wait: Waiter) -> None:
    wait(flux_has_no_failure(flux))


@criterion(
    Stage.FLUX_HEALTH,
    AC5,
    title="the hand-off to Flux caused no rollout",
    task=6,
    budget_s=60,
    needs=HELM,
)
def test_the_hand_off_caused_no_rollout(
    kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    wait(handed_off_without_rollout(kubernetes, cluster))
