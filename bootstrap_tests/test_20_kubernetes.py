"""Stage 20: the Kubernetes API answers at the cluster endpoint, and every node is registered."""

from __future__ import annotations

from pathlib import Path

from testinfra.host import Host

from firstlight.checklist import AC1, AC2, Box, Capability, Stage, Step, criterion
from firstlight.conditions.nodes import (
    every_node_registered,
    kubernetes_api_answers,
    vip_accepts_connections,
)
from firstlight.conditions.operator import kubeconfig_in_1password, kubeconfig_usable
from firstlight.conditions.talos import (
    all_together,
    clocks_agree,
    link_as_defined,
    machine_runs_its_configuration,
    talos_endpoint_answers,
)
from firstlight.definition.model import Cluster
from firstlight.run import Run, Waiter
from firstlight.target import Target
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.op import OnePassword
from firstlight.tools.talosctl import Talosctl


@criterion(
    Stage.KUBERNETES,
    AC2,
    title="the kubeconfig is generated, private, and has the cluster's context",
    task=2,
    budget_s=60,
    needs=(Capability.TALOS_API,),
    boxes=(Box.KUBECONFIG,),
    steps=(Step.KUBECONFIG,),
)
def test_kubeconfig_is_generated(
    kubeconfig_generated: Path, cluster: Cluster, workstation: Host, wait: Waiter
) -> None:
    path = wait(kubeconfig_usable(kubeconfig_generated, cluster))

    assert workstation.file(str(path)).user == workstation.user().name


@criterion(
    Stage.KUBERNETES,
    AC2,
    title="the Kubernetes API answers at the cluster endpoint",
    task=2,
    budget_s=300,
)
def test_the_cluster_endpoint_answers_on_6443(
    kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    wait(vip_accepts_connections(cluster, 6443))
    wait(kubernetes_api_answers(kubernetes, cluster))


@criterion(
    Stage.KUBERNETES,
    AC1,
    title="the Talos API answers at the cluster endpoint",
    task=1,
    budget_s=120,
    needs=(Capability.TALOS_API,),
)
def test_the_cluster_endpoint_answers_on_50000(
    talosctl: Talosctl, cluster: Cluster, wait: Waiter
) -> None:
    wait(talos_endpoint_answers(talosctl, cluster))


@criterion(
    Stage.KUBERNETES, AC1, title="every node is registered under its own name", task=2, budget_s=300
)
def test_every_node_is_registered_under_its_own_name(
    kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    wait(every_node_registered(kubernetes, cluster))


@criterion(
    Stage.KUBERNETES,
    AC1,
    title="every machine runs its configuration, with link and clock as defined",
    task=1,
    budget_s=180,
    needs=(Capability.TALOS_API,),
)
def test_every_machine_is_as_defined(
    talosctl: Talosctl, cluster: Cluster, run: Run, wait: Waiter
) -> None:
    looks = all_together(talosctl, cluster.nodes)

    wait.each(
        {
            node.hostname: machine_runs_its_configuration(looks, cluster, node)
            for node in cluster.nodes
        }
    )
    wait.each({node.hostname: link_as_defined(looks, node) for node in cluster.nodes})
    wait(clocks_agree(talosctl, cluster.nodes, run.clock))


@criterion(
    Stage.KUBERNETES,
    AC2,
    title="the kubeconfig is pushed to 1Password",
    task=2,
    budget_s=60,
    boxes=(Box.KUBECONFIG,),
    steps=(Step.PUSH,),
)
def test_kubeconfig_is_pushed_to_1password(
    kubeconfig_pushed: None, op: OnePassword, cluster: Cluster, target: Target, wait: Waiter
) -> None:
    wait(kubeconfig_in_1password(op, cluster, target.kubeconfig))
