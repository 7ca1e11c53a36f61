"""Stage 50: Flux reads the repository with the deploy key, and reconciles the cluster."""

from __future__ import annotations

from firstlight.checklist import AC4, Box, Stage, criterion
from firstlight.conditions.gitops import flux_has_cloned, git_repository_ready, kustomization_ready
from firstlight.conditions.gitremote import deploy_key_cannot_write
from firstlight.conditions.secrets import deploy_key_in_cluster
from firstlight.definition.model import Cluster
from firstlight.run import Waiter
from firstlight.tools.git import Git, RemoteBranch
from firstlight.tools.kubernetes import Kubernetes


@criterion(
    Stage.FLUX, AC4, title="the deploy key's Secret is the one in 1Password", task=5, budget_s=60
)
def test_the_deploy_key_secret_is_the_one_in_1password(
    kubernetes: Kubernetes, deploy_key: tuple[str, str], cluster: Cluster, wait: Waiter
) -> None:
    wait(deploy_key_in_cluster(kubernetes, cluster, *deploy_key))


@criterion(
    Stage.FLUX,
    AC4,
    title="the GitRepository is Ready, on the branch that the definition names",
    task=5,
    budget_s=300,
    boxes=(Box.GIT_REPOSITORY,),
)
def test_the_gitrepository_is_ready(
    flux_resources_applied: None, kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    wait(git_repository_ready(kubernetes, cluster))


@criterion(Stage.FLUX, AC4, title="Flux has cloned the head of the branch", task=5, budget_s=180)
def test_flux_has_cloned_the_head_of_the_branch(
    remote_branch: RemoteBranch, kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    wait(flux_has_cloned(kubernetes, cluster, remote_branch))


@criterion(
    Stage.FLUX, AC4, title="the Kustomization of the cluster's path is Ready", task=5, budget_s=300
)
def test_the_kustomization_is_ready(kubernetes: Kubernetes, cluster: Cluster, wait: Waiter) -> None:
    wait(kustomization_ready(kubernetes, cluster))


@criterion(Stage.FLUX, AC4, title="the deploy key that Flux uses is read-only", task=5, budget_s=60)
def test_the_deploy_key_that_flux_uses_is_read_only(
    git: Git, flux_key: tuple[str, str], cluster: Cluster, wait: Waiter
) -> None:
    wait(deploy_key_cannot_write(git, cluster, *flux_key))
