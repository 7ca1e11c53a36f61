"""Stage 70: the network carries packets."""

from __future__ import annotations

from firstlight.checklist import AC6, Box, Capability, Stage, criterion
from firstlight.conditions.cilium import (
    bgp_control_plane_enabled,
    cilium_status_ok,
    datapath_operational,
    every_agent_identifies_the_cluster,
    hubble_relay_answers,
)
from firstlight.conditions.connectivity import connectivity_test_passes
from firstlight.definition.model import Cluster
from firstlight.run import Waiter
from firstlight.target import Target
from firstlight.tools.cilium import Cilium
from firstlight.tools.kubernetes import Kubernetes

DATAPATH = (Capability.DATAPATH,)


@criterion(
    Stage.CILIUM,
    AC6,
    title="cilium status is OK on every node",
    task=7,
    budget_s=600,
    needs=DATAPATH,
)
def test_cilium_status_is_well(cilium: Cilium, wait: Waiter) -> None:
    wait(cilium_status_ok(cilium))


@criterion(
    Stage.CILIUM,
    AC6,
    title="every agent runs with the cluster's id and name",
    task=7,
    budget_s=120,
    needs=DATAPATH,
)
def test_every_agent_runs_with_the_clusters_id_and_name(
    cilium: Cilium, kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    wait(every_agent_identifies_the_cluster(cilium, kubernetes, cluster))


@criterion(
    Stage.CILIUM,
    AC6,
    title="the eBPF datapath is operational",
    task=7,
    budget_s=120,
    needs=DATAPATH,
)
def test_the_ebpf_datapath_is_operational(
    cilium: Cilium, kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    wait(datapath_operational(cilium, kubernetes, cluster))


@criterion(
    Stage.CILIUM,
    AC6,
    title="the BGP control plane is enabled",
    task=7,
    budget_s=120,
    needs=DATAPATH,
)
def test_the_bgp_control_plane_is_enabled(
    cilium: Cilium, kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    wait(bgp_control_plane_enabled(cilium, kubernetes, cluster))


@criterion(Stage.CILIUM, AC6, title="Hubble relay answers", task=7, budget_s=180, needs=DATAPATH)
def test_hubble_relay_answers(kubernetes: Kubernetes, cluster: Cluster, wait: Waiter) -> None:
    wait(hubble_relay_answers(kubernetes, cluster))


@criterion(
    Stage.CILIUM,
    AC6,
    title="cilium connectivity test passes",
    task=7,
    budget_s=1800,
    needs=DATAPATH,
    boxes=(Box.CONNECTIVITY,),
)
def test_cilium_connectivity_test_passes(cilium: Cilium, target: Target, wait: Waiter) -> None:
    wait(connectivity_test_passes(cilium, target.connectivity))
