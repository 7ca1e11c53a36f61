"""Stage 40: Cilium, CoreDNS, Spegel, cert-manager and Flux, in this order, and what each of them makes true."""

from __future__ import annotations

import pytest

from firstlight.conditions.dns import dns_resolves, dns_resolves_across_nodes
from firstlight.conditions.nodes import nodes_ready
from firstlight.conditions.releases import installed_in_order, release_deployed
from firstlight.conditions.talos import talos_health_passes
from firstlight.conditions.webhook import webhook_answers
from firstlight.conditions.workloads import (
    config_map_says,
    daemon_set,
    deployment,
    no_pod_fails,
    no_pod_named,
    runs_on_every_node,
    workload_runs,
)
from firstlight.definition.model import Cluster, Release
from firstlight.target import Capability
from firstlight.tools.helm import Helm
from firstlight.tools.kubectl import Kubectl
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.talosctl import Talosctl
from fixtures.criterion import criterion
from fixtures.performing import Waiter

WORKLOADS = {
    "cilium": (daemon_set("kube-system", "cilium"), deployment("kube-system", "cilium-operator")),
    "coredns": (deployment("kube-system", "coredns"),),
    "spegel": (daemon_set("kube-system", "spegel"),),
    "cert-manager": tuple(
        deployment("cert-manager", name)
        for name in ("cert-manager", "cert-manager-cainjector", "cert-manager-webhook")
    ),
    "flux": tuple(
        deployment("flux-system", f"{name}-controller")
        for name in ("source", "kustomize", "helm", "notification")
    ),
}
"""What each release's pods belong to: the names that its chart gives them."""

BOXES = (
    "Cilium pods running with correct cluster.id=1",
    "CoreDNS pods running and resolving cluster DNS",
    "Spegel pods running for P2P image caching",
    "cert-manager pods running",
    "Flux pods running and healthy",
)


@pytest.mark.parametrize("name", WORKLOADS, ids=WORKLOADS)
@criterion("AC3", "{} is deployed, its pods run", task=4, budget_s=900, boxes=BOXES)
def test_release_runs(
    name: str, release_installed: Release, helm: Helm, kubernetes: Kubernetes, wait: Waiter
) -> None:
    deployed = wait(release_deployed(helm, release_installed.name, release_installed.namespace))
    ready = {
        workload.name: wait(workload_runs(kubernetes, workload)) for workload in WORKLOADS[name]
    }

    assert deployed.status == "deployed"
    assert min(ready.values()) > 0


@criterion("AC3", "Cilium has the cluster's id and name", task=7, budget_s=30, boxes=BOXES[:1])
def test_cilium_has_the_clusters_id_and_name(
    kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    expected = {"cluster-id": str(cluster.id), "cluster-name": cluster.name}

    assert wait(config_map_says(kubernetes, "kube-system", "cilium-config", expected)) == expected


@criterion("AC3", "Cilium replaces kube-proxy, and none runs", task=7, budget_s=30)
def test_cilium_replaces_kube_proxy(kubernetes: Kubernetes, wait: Waiter) -> None:
    assert wait(
        config_map_says(
            kubernetes, "kube-system", "cilium-config", {"kube-proxy-replacement": "true"}
        )
    )
    assert wait(no_pod_named(kubernetes, "kube-system", "kube-proxy"))


@criterion(
    "AC3",
    "Cilium routes natively, and reaches the API at the cluster endpoint",
    task=7,
    budget_s=60,
)
def test_cilium_routes_natively(kubernetes: Kubernetes, cluster: Cluster, wait: Waiter) -> None:
    expected = {"routing-mode": "native", "ipv4-native-routing-cidr": str(cluster.node_network)}

    assert wait(config_map_says(kubernetes, "kube-system", "cilium-config", expected)) == expected
    assert cluster.release("cilium").values["k8sServiceHost"] == str(cluster.vip)


@criterion(
    "AC3", "every node is Ready", task=2, budget_s=600, boxes=("All nodes show Ready status",)
)
def test_every_node_is_ready(kubernetes: Kubernetes, cluster: Cluster, wait: Waiter) -> None:
    assert wait(nodes_ready(kubernetes, cluster)) == cluster.node_names


@criterion(
    "AC3",
    "CoreDNS resolves cluster names",
    task=4,
    budget_s=120,
    needs=(Capability.RUNNING_PODS,),
    boxes=BOXES[1:2],
)
def test_coredns_resolves_cluster_names(kubernetes: Kubernetes, wait: Waiter) -> None:
    assert wait(dns_resolves(kubernetes))


@criterion(
    "AC3",
    "CoreDNS answers pods of other nodes",
    task=4,
    budget_s=300,
    needs=(Capability.DATAPATH,),
    boxes=BOXES[1:2],
)
def test_coredns_answers_pods_of_other_nodes(
    kubernetes: Kubernetes, kubectl: Kubectl, wait: Waiter
) -> None:
    assert wait(dns_resolves_across_nodes(kubernetes, kubectl))


@criterion("AC3", "Spegel runs on every node", task=4, budget_s=300, boxes=BOXES[2:3])
def test_spegel_runs_on_every_node(kubernetes: Kubernetes, cluster: Cluster, wait: Waiter) -> None:
    assert (
        wait(runs_on_every_node(kubernetes, cluster, daemon_set("kube-system", "spegel")))
        == cluster.node_names
    )


@criterion(
    "AC3",
    "cert-manager's webhook answers",
    task=4,
    budget_s=120,
    needs=(Capability.RUNNING_PODS, Capability.CERT_MANAGER),
)
def test_cert_managers_webhook_answers(kubectl: Kubectl, wait: Waiter) -> None:
    assert wait(webhook_answers(kubectl))


@criterion("AC3", "the releases were installed in the required order", task=4, budget_s=60)
def test_releases_were_installed_in_order(helm: Helm, cluster: Cluster, wait: Waiter) -> None:
    assert wait(installed_in_order(helm, cluster)) == tuple(
        release.name for release in cluster.releases
    )


@criterion("AC1 AC3", "talosctl health passes", task=2, budget_s=600, needs=(Capability.TALOS_API,))
def test_talosctl_health_passes(talosctl: Talosctl, cluster: Cluster, wait: Waiter) -> None:
    assert wait(talos_health_passes(talosctl, cluster))


@criterion(
    "AC3",
    "no pod fails",
    task=4,
    budget_s=300,
    boxes=("`kubectl get pods -A | grep -v Running` returns no failing pods",),
)
def test_no_pod_fails(kubernetes: Kubernetes, wait: Waiter) -> None:
    assert wait(no_pod_fails(kubernetes)) > 0
