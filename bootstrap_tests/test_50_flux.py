"""Stage 50: Flux reads the repository with the deploy key, and reconciles the cluster from it."""

from __future__ import annotations

from firstlight.conditions.gitops import artifact_is, flux_object_ready
from firstlight.conditions.gitremote import key_cannot_write, same_key_in_cluster
from firstlight.definition.model import Cluster
from firstlight.tools.git import Git
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import GIT_REPOSITORIES, KUSTOMIZATIONS
from fixtures.criterion import criterion
from fixtures.performing import Waiter


@criterion("AC4", "the deploy key's Secret is the one in 1Password", task=5, budget_s=60)
def test_the_deploy_key_secret_is_the_one_in_1password(
    kubernetes: Kubernetes, deploy_key: tuple[str, str], cluster: Cluster, wait: Waiter
) -> None:
    assert wait(same_key_in_cluster(kubernetes, cluster, *deploy_key)) == cluster.sync.secret


@criterion(
    "AC4",
    "the GitRepository is Ready, on the branch that the definition names",
    task=5,
    budget_s=300,
    boxes=("GitRepository shows Ready status",),
)
def test_the_gitrepository_is_ready(
    flux_resources_applied: None, kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    repository = wait(
        flux_object_ready(
            kubernetes, GIT_REPOSITORIES, cluster.sync.namespace, cluster.sync.repository
        )
    )

    assert repository["spec"]["ref"]["branch"] == cluster.sync.branch
    assert repository["spec"]["url"] == cluster.sync.url


@criterion("AC4", "Flux has cloned the head of the branch", task=5, budget_s=180)
def test_flux_has_cloned_the_head_of_the_branch(
    git: Git, deploy_key: tuple[str, str], kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    head = git.head(
        cluster.sync.url, cluster.sync.branch, identity=deploy_key[0], known_hosts=deploy_key[1]
    )

    assert wait(artifact_is(kubernetes, GIT_REPOSITORIES, cluster, head)).endswith(head)


@criterion("AC4", "the Kustomization of the cluster's path is Ready", task=5, budget_s=300)
def test_the_kustomization_is_ready(kubernetes: Kubernetes, cluster: Cluster, wait: Waiter) -> None:
    kustomization = wait(
        flux_object_ready(
            kubernetes, KUSTOMIZATIONS, cluster.sync.namespace, cluster.sync.kustomization
        )
    )

    assert kustomization["spec"]["path"] == cluster.sync.path


@criterion("AC4", "the deploy key that Flux uses is read-only", task=5, budget_s=60)
def test_the_deploy_key_that_flux_uses_is_read_only(
    git: Git, flux_key: tuple[str, str], cluster: Cluster, wait: Waiter
) -> None:
    assert "read only" in wait(key_cannot_write(git, cluster, *flux_key))
