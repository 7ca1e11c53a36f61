"""Stage 20: the Kubernetes API answers at the cluster endpoint, and every node has registered."""

from __future__ import annotations

from pathlib import Path

from testinfra.host import Host

from firstlight.actions.kubeconfig import kubeconfig_problem
from firstlight.conditions.nodes import api_answers, nodes_registered, vip_accepts
from firstlight.conditions.operator import document_is
from firstlight.conditions.talos import (
    clocks_agree,
    endpoint_answers,
    link_is_up,
    machine_runs_its_configuration,
)
from firstlight.definition.model import Cluster
from firstlight.target import Capability, Target
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.op import OnePassword
from firstlight.tools.talosctl import Talosctl
from fixtures.criterion import criterion
from fixtures.performing import Waiter
from fixtures.run import Run

BOX = ("Kubeconfig generated and pushed to 1Password",)


@criterion(
    "AC2",
    "the kubeconfig is generated, private, with the cluster's context",
    task=2,
    budget_s=60,
    needs=(Capability.TALOS_API,),
    boxes=BOX,
)
def test_kubeconfig_is_generated(
    kubeconfig_generated: Path, cluster: Cluster, workstation: Host
) -> None:
    file = workstation.file(str(kubeconfig_generated))

    assert file.mode == 0o600
    assert file.user == workstation.user().name
    assert kubeconfig_problem(kubeconfig_generated, cluster) == ""


@criterion("AC2", "the Kubernetes API answers at the cluster endpoint", task=2, budget_s=300)
def test_the_cluster_endpoint_answers_on_6443(
    kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    assert wait(vip_accepts(cluster, 6443)) == f"{cluster.vip}:6443"
    assert wait(api_answers(kubernetes, cluster)) == "ok"


@criterion(
    "AC1",
    "the Talos API answers at the cluster endpoint",
    task=1,
    budget_s=120,
    needs=(Capability.TALOS_API,),
)
def test_the_cluster_endpoint_answers_on_50000(
    talosctl: Talosctl, cluster: Cluster, wait: Waiter
) -> None:
    assert wait(endpoint_answers(talosctl, cluster)) == cluster.talos_version


@criterion("AC1", "every node is registered under its own name", task=2, budget_s=300)
def test_every_node_is_registered_under_its_own_name(
    kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    assert wait(nodes_registered(kubernetes, cluster)) == cluster.node_names


@criterion(
    "AC1",
    "every machine runs its configuration, its link and its clock are as defined",
    task=1,
    budget_s=180,
    needs=(Capability.TALOS_API,),
)
def test_every_machine_is_as_defined(
    talosctl: Talosctl, cluster: Cluster, run: Run, wait: Waiter
) -> None:
    stages = wait.each(
        {
            node.hostname: machine_runs_its_configuration(talosctl, cluster, node)
            for node in cluster.nodes
        }
    )
    links = wait.each({node: link_is_up(talosctl, node) for node in cluster.nodes})
    skews = wait(clocks_agree(talosctl, cluster.nodes, run.clock))

    assert stages.keys() == skews.keys() == cluster.node_names
    assert {(node.link, node.mtu, node.bond_mode) for node in links} == {
        (link.name, link.mtu, link.bond_mode) for link in links.values()
    }


@criterion("AC2", "the kubeconfig is pushed to 1Password", task=2, budget_s=60, boxes=BOX)
def test_kubeconfig_is_pushed_to_1password(
    kubeconfig_pushed: None, op: OnePassword, cluster: Cluster, target: Target, wait: Waiter
) -> None:
    assert wait(document_is(op, cluster, target.kubeconfig))
