"""Stage 70: the network carries packets."""

from __future__ import annotations

from firstlight.conditions.cilium import (
    agents_identify,
    bgp_enabled,
    datapath_operational,
    hubble_relay_answers,
    status_ok,
)
from firstlight.conditions.connectivity import connectivity_passes
from firstlight.definition.model import Cluster
from firstlight.target import Capability, Target
from firstlight.tools.cilium import Cilium
from firstlight.tools.kubernetes import Kubernetes
from fixtures.criterion import criterion
from fixtures.performing import Waiter

DATAPATH = (Capability.DATAPATH,)


@criterion("AC6", "cilium status is well on every node", task=7, budget_s=600, needs=DATAPATH)
def test_cilium_status_is_well(cilium: Cilium, wait: Waiter) -> None:
    assert wait(status_ok(cilium))


@criterion(
    "AC6", "every agent runs with the cluster's id and name", task=7, budget_s=120, needs=DATAPATH
)
def test_every_agent_runs_with_the_clusters_id_and_name(
    cilium: Cilium, kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    assert set(wait(agents_identify(cilium, kubernetes, cluster)).values()) == {
        (str(cluster.id), cluster.name)
    }


@criterion("AC6", "the eBPF datapath is operational", task=7, budget_s=120, needs=DATAPATH)
def test_the_ebpf_datapath_is_operational(
    cilium: Cilium, kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    assert wait(datapath_operational(cilium, kubernetes, cluster)).keys() == cluster.node_names


@criterion("AC6", "the BGP control plane is enabled", task=7, budget_s=120, needs=DATAPATH)
def test_the_bgp_control_plane_is_enabled(
    cilium: Cilium, kubernetes: Kubernetes, cluster: Cluster, wait: Waiter
) -> None:
    assert wait(bgp_enabled(cilium, kubernetes, cluster)) == len(cluster.nodes)


@criterion("AC6", "Hubble relay answers", task=7, budget_s=180, needs=DATAPATH)
def test_hubble_relay_answers(kubernetes: Kubernetes, cluster: Cluster, wait: Waiter) -> None:
    assert wait(hubble_relay_answers(kubernetes, cluster)) == len(cluster.nodes)


@criterion(
    "AC6",
    "cilium connectivity test passes",
    task=7,
    budget_s=1800,
    needs=DATAPATH,
    boxes=("`cilium connectivity test` passes",),
)
def test_cilium_connectivity_test_passes(cilium: Cilium, target: Target, wait: Waiter) -> None:
    assert wait(connectivity_passes(cilium, target.connectivity)) > 0
