"""Stage 70: the network carries packets."""

from __future__ import annotations

from firstlight.conditions.cilium import bgp_enabled, connectivity_passes, hubble_relay_answers, kube_proxy_replaced, status_ok
from firstlight.target import Capability
from firstlight.tools.cilium import Cilium
from fixtures.criterion import criterion
from fixtures.performing import Waiter

DATAPATH = (Capability.DATAPATH,)


@criterion("AC6", "cilium status is well on every node", task=7, budget_s=600, needs=DATAPATH)
def test_cilium_status_is_well(cilium: Cilium, wait: Waiter) -> None:
    assert wait(status_ok(cilium))


@criterion("AC6", "the eBPF datapath is operational", task=7, budget_s=120, needs=DATAPATH)
def test_the_ebpf_datapath_is_operational(cilium: Cilium, wait: Waiter) -> None:
    assert wait(kube_proxy_replaced(cilium))


@criterion("AC6", "the BGP control plane is enabled", task=7, budget_s=60, needs=DATAPATH)
def test_the_bgp_control_plane_is_enabled(cilium: Cilium, wait: Waiter) -> None:
    assert wait(bgp_enabled(cilium))


@criterion("AC6", "Hubble relay answers", task=7, budget_s=120, needs=DATAPATH)
def test_hubble_relay_answers(cilium: Cilium, wait: Waiter) -> None:
    assert wait(hubble_relay_answers(cilium))


@criterion("AC6", "cilium connectivity test passes", task=7, budget_s=1500, needs=DATAPATH, boxes=("`cilium connectivity test` passes",))
def test_cilium_connectivity_test_passes(cilium: Cilium, wait: Waiter) -> None:
    assert wait(connectivity_passes(cilium)) > 0
