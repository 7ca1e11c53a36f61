"""Stage 10: etcd is bootstrapped, once, and all machines are well."""

from __future__ import annotations

from firstlight.conditions.etcd import etcd_bootstrapped_on, etcd_runs, no_foreign_etcd
from firstlight.conditions.talos import services_healthy
from firstlight.definition.model import Cluster
from firstlight.target import Capability
from firstlight.tools.talosctl import Talosctl
from fixtures.criterion import criterion
from fixtures.performing import Waiter

TALOS = (Capability.TALOS_API,)


@criterion(
    "AC1", "no other etcd cluster exists on these machines", task=2, budget_s=60, needs=TALOS
)
def test_no_other_etcd_cluster_exists(talosctl: Talosctl, cluster: Cluster, wait: Waiter) -> None:
    seen = wait(no_foreign_etcd(talosctl, cluster))

    assert seen.members <= cluster.control_plane_names


@criterion(
    "AC1",
    "etcd is bootstrapped, once",
    task=2,
    budget_s=600,
    needs=TALOS,
    boxes=("`talosctl bootstrap` completed successfully",),
)
def test_etcd_is_bootstrapped_once(
    etcd_bootstrapped: None, talosctl: Talosctl, cluster: Cluster, wait: Waiter
) -> None:
    seen = wait(etcd_bootstrapped_on(talosctl, cluster))

    assert cluster.first_control_plane.hostname in seen.members


@criterion("AC1", "etcd runs on every control plane node", task=2, budget_s=600, needs=TALOS)
def test_etcd_runs_on_every_control_plane_node(
    talosctl: Talosctl, cluster: Cluster, wait: Waiter
) -> None:
    seen = wait(etcd_runs(talosctl, cluster))

    assert seen.members == cluster.control_plane_names


@criterion("AC1", "all Talos services are healthy on every node", task=2, budget_s=300, needs=TALOS)
def test_talos_services_are_healthy_on_every_node(
    talosctl: Talosctl, cluster: Cluster, wait: Waiter
) -> None:
    assert wait(services_healthy(talosctl, cluster)) >= len(cluster.nodes)
