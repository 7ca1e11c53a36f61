"""Stage 10: etcd is bootstrapped, once, and all machines are healthy."""

from __future__ import annotations

from firstlight.checklist import AC1, Box, Capability, Stage, Step, criterion
from firstlight.conditions.etcd import (
    etcd_is_bootstrapped,
    etcd_runs_on_every_control_plane_node,
    no_foreign_etcd,
)
from firstlight.conditions.talos import every_talos_service_healthy
from firstlight.definition.model import Cluster
from firstlight.run import Waiter
from firstlight.tools.talosctl import Talosctl

TALOS = (Capability.TALOS_API,)


@criterion(
    Stage.TALOS,
    AC1,
    title="no other etcd cluster exists on these machines",
    task=2,
    budget_s=60,
    needs=TALOS,
)
def test_no_other_etcd_cluster_exists(talosctl: Talosctl, cluster: Cluster, wait: Waiter) -> None:
    wait(no_foreign_etcd(talosctl, cluster))


@criterion(
    Stage.TALOS,
    AC1,
    title="etcd is bootstrapped, once",
    task=2,
    budget_s=600,
    needs=TALOS,
    boxes=(Box.TALOS_BOOTSTRAP,),
)
def test_etcd_is_bootstrapped_once(
    etcd_bootstrapped: None, talosctl: Talosctl, cluster: Cluster, wait: Waiter
) -> None:
    wait(etcd_is_bootstrapped(talosctl, cluster))


@criterion(
    Stage.TALOS,
    AC1,
    title="etcd runs on every control plane node",
    task=2,
    budget_s=600,
    needs=TALOS,
    steps=(Step.HEALTH,),
)
def test_etcd_runs_on_every_control_plane_node(
    talosctl: Talosctl, cluster: Cluster, wait: Waiter
) -> None:
    wait(etcd_runs_on_every_control_plane_node(talosctl, cluster))


@criterion(
    Stage.TALOS,
    AC1,
    title="all Talos services are healthy on every node",
    task=2,
    budget_s=300,
    needs=TALOS,
    steps=(Step.HEALTH,),
)
def test_talos_services_are_healthy_on_every_node(
    talosctl: Talosctl, cluster: Cluster, wait: Waiter
) -> None:
    wait(every_talos_service_healthy(talosctl, cluster))
