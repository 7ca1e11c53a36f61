"""Stage 40: Cilium, CoreDNS, Spegel, cert-manager and Flux are installed, in this order."""

from __future__ import annotations

import pytest

from firstlight.checklist import AC1, AC3, Box, Capability, Stage, Step, criterion
from firstlight.conditions.dns import coredns_answers_across_nodes, coredns_resolves
from firstlight.conditions.nodes import every_node_ready
from firstlight.conditions.releases import (
    release_deployed,
    release_has_value,
    releases_installed_in_order,
)
from firstlight.conditions.talos import talos_health_passes
from firstlight.conditions.workloads import (
    cert_manager_webhook_answers,
    config_map_contains,
    daemon_set,
    deployment,
    every_crd_established,
    no_pod_fails,
    no_pod_named,
    runs_on_every_node,
    workload_runs,
)
from firstlight.definition.model import Cluster, Release
from firstlight.run import Waiter
from firstlight.tools.helm_records import HelmRecords
from firstlight.tools.kubectl import Kubectl
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.talosctl import Talosctl

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
"""The Deployments and DaemonSets of each release, named by its chart."""

BOXES = {
    "cilium": Box.CILIUM,
    "coredns": Box.COREDNS,
    "spegel": Box.SPEGEL,
    "cert-manager": Box.CERT_MANAGER,
    "flux": Box.FLUX,
}


@pytest.mark.parametrize("name", WORKLOADS, ids=WORKLOADS)
@criterion(
    Stage.APPS,
    AC3,
    title="{} is deployed and its pods are running",
    task=4,
    budget_s=900,
    boxes=BOXES,
)
def test_release_runs(
    name: str,
    release_installed: Release,
    helm_records: HelmRecords,
    kubernetes: Kubernetes,
    wait: Waiter,
) -> None:
    release = (release_installed.name, release_installed.namespace)
    wait(release_deployed(helm_records, *release))
    wait(every_crd_established(kubernetes, helm_records, (release,), some=False))
    for workload in WORKLOADS[name]:
        wait(workload_runs(kubernetes, workload))


@criterion(
    Stage.APPS,
    AC3,
    title="Cilium has the cluster's id and name",
    task=7,
    budget_s=30,
    boxes=(Box.CILIUM,),
)
def test_cilium_has_the_clusters_id_and_name(
    kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    expected = {"cluster-id": str(cluster.id), "cluster-name": cluster.name}

    wait(config_map_contains(kubernetes, "kube-system", "cilium-config", expected))


@criterion(
    Stage.APPS, AC3, title="Cilium replaces kube-proxy, which does not run", task=7, budget_s=30
)
def test_cilium_replaces_kube_proxy(kubernetes: Kubernetes, wait: Waiter) -> None:
    expected = {"kube-proxy-replacement": "true"}

    wait(config_map_contains(kubernetes, "kube-system", "cilium-config", expected))
    wait(no_pod_named(kubernetes, "kube-system", "kube-proxy"))


@criterion(
    Stage.APPS,
    AC3,
    title="Cilium routes natively, and reaches the API at the cluster endpoint",
    task=7,
    budget_s=60,
)
def test_cilium_routes_natively(
    kubernetes: Kubernetes, helm_records: HelmRecords, cluster: Cluster, wait: Waiter
) -> None:
    expected = {"routing-mode": "native", "ipv4-native-routing-cidr": str(cluster.node_network)}

    wait(config_map_contains(kubernetes, "kube-system", "cilium-config", expected))
    wait(
        release_has_value(helm_records, "cilium", "kube-system", "k8sServiceHost", str(cluster.vip))
    )


@criterion(Stage.APPS, AC3, title="every node is Ready", task=2, budget_s=600, boxes=(Box.NODES,))
def test_every_node_is_ready(kubernetes: Kubernetes, cluster: Cluster, wait: Waiter) -> None:
    wait(every_node_ready(kubernetes, cluster))


@criterion(
    Stage.APPS,
    AC3,
    title="CoreDNS resolves cluster names",
    task=4,
    budget_s=120,
    needs=(Capability.RUNNING_PODS,),
    boxes=(Box.COREDNS,),
)
def test_coredns_resolves_cluster_names(kubernetes: Kubernetes, wait: Waiter) -> None:
    wait(coredns_resolves(kubernetes))


@criterion(
    Stage.APPS,
    AC3,
    title="CoreDNS answers pods of other nodes",
    task=4,
    budget_s=300,
    needs=(Capability.DATAPATH,),
    boxes=(Box.COREDNS,),
)
def test_coredns_answers_pods_of_other_nodes(
    kubernetes: Kubernetes, kubectl: Kubectl, wait: Waiter
) -> None:
    wait(coredns_answers_across_nodes(kubernetes, kubectl))


@criterion(
    Stage.APPS, AC3, title="Spegel runs on every node", task=4, budget_s=300, boxes=(Box.SPEGEL,)
)
def test_spegel_runs_on_every_node(kubernetes: Kubernetes, cluster: Cluster, wait: Waiter) -> None:
    wait(runs_on_every_node(kubernetes, cluster, daemon_set("kube-system", "spegel")))


@criterion(
    Stage.APPS,
    AC3,
    title="cert-manager's webhook answers",
    task=4,
    budget_s=120,
    needs=(Capability.RUNNING_PODS, Capability.CERT_MANAGER),
)
def test_cert_managers_webhook_answers(kubectl: Kubectl, wait: Waiter) -> None:
    wait(cert_manager_webhook_answers(kubectl))


@criterion(
    Stage.APPS, AC3, title="the releases were installed in the required order", task=4, budget_s=60
)
def test_releases_were_installed_in_order(
    helm_records: HelmRecords, cluster: Cluster, wait: Waiter
) -> None:
    wait(releases_installed_in_order(helm_records, cluster))


@criterion(
    Stage.APPS,
    AC1,
    AC3,
    title="talosctl health passes",
    task=2,
    budget_s=600,
    needs=(Capability.TALOS_API,),
    steps=(Step.HEALTH,),
)
def test_talosctl_health_passes(talosctl: Talosctl, cluster: Cluster, wait: Waiter) -> None:
    wait(talos_health_passes(talosctl, cluster))


@criterion(
    Stage.APPS, AC3, title="no pod fails", task=4, budget_s=300, boxes=(Box.NO_FAILING_PODS,)
)
def test_no_pod_fails(kubernetes: Kubernetes, wait: Waiter) -> None:
    wait(no_pod_fails(kubernetes))
