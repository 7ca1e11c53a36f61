"""kind's configuration follows from the definition; what kind cannot create is refused first."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
import yaml

from firstlight.definition import load
from firstlight.definition.model import Cluster, Role
from firstlight.errors import TargetError
from lab.kind.cluster import kind_of
from lab.kind.config import engine_range, kind_config, subnet_of
from lab.simulated.paths import LabPaths

ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = engine_range(IPv4Network("10.6.0.0/24"))


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return load(ROOT, "infra")


def test_kind_installs_no_cni_no_kube_proxy_and_no_coredns(cluster: Cluster) -> None:
    made = kind_config(cluster, "firstlight-infra", ADDRESSES)
    (init,) = [
        patch
        for text in made["kubeadmConfigPatches"]
        if (patch := yaml.safe_load(text))["kind"] == "InitConfiguration"
    ]

    assert (made["networking"]["disableDefaultCNI"], made["networking"]["kubeProxyMode"]) == (
        True,
        "none",
    )
    assert init["skipPhases"] == ["preflight", "addon/kube-proxy", "addon/coredns"]


def test_nodes_and_networks_match_the_definition(cluster: Cluster) -> None:
    made = kind_config(cluster, "firstlight-infra", ADDRESSES)

    assert [node["role"] for node in made["nodes"]] == ["control-plane"] * 3 + ["worker"] * 3
    assert (made["networking"]["podSubnet"], made["networking"]["serviceSubnet"]) == (
        "10.42.0.0/16",
        "10.43.0.0/16",
    )
    assert {node["image"].split("@")[0] for node in made["nodes"]} == {
        f"kindest/node:{cluster.kubernetes_version}"
    }


def test_the_certificate_names_every_address_that_the_endpoint_may_get(cluster: Cluster) -> None:
    made = kind_config(cluster, "firstlight-infra", ADDRESSES)
    (patch,) = [
        patch
        for text in made["kubeadmConfigPatches"]
        if (patch := yaml.safe_load(text))["kind"] == "ClusterConfiguration"
    ]
    names = set(patch["apiServer"]["certSANs"])

    assert {"localhost", "127.0.0.1"} <= names
    assert names >= {str(address) for address in ADDRESSES if address != IPv4Address("10.6.0.255")}


def test_every_containerd_version_keeps_layers_and_reads_spegels_mirrors(
    cluster: Cluster,
) -> None:
    made = [
        tomllib.loads(text)
        for text in kind_config(cluster, "firstlight-infra", ADDRESSES)["containerdConfigPatches"]
    ]
    by_version = {patch["version"]: patch["plugins"] for patch in made}

    assert by_version[2]["io.containerd.grpc.v1.cri"] == {
        "containerd": {"discard_unpacked_layers": False},
        "registry": {"config_path": "/etc/cri/conf.d/hosts"},
    }
    assert by_version[3]["io.containerd.cri.v1.images"] == {
        "discard_unpacked_layers": False,
        "registry": {"config_path": "/etc/cri/conf.d/hosts"},
    }


def test_a_kubernetes_version_without_a_node_image_is_refused(cluster: Cluster) -> None:
    with pytest.raises(
        TargetError, match=r"no node image for Kubernetes v1\.34\.1 is pinned, only for v1\.35\.0"
    ):
        kind_config(replace(cluster, kubernetes_version="v1.34.1"), "firstlight-infra", ADDRESSES)


def test_a_single_control_plane_node_is_refused(cluster: Cluster) -> None:
    workers = [node for node in cluster.nodes if node.role is Role.WORKER]
    small = replace(cluster, nodes=(cluster.nodes[0], *workers))

    with pytest.raises(
        TargetError,
        match=r"with 1 control plane node, the endpoint 10\.25\.11\.10 has no address of its own",
    ):
        kind_config(small, "firstlight-infra", ADDRESSES)


def test_more_nodes_than_addresses_are_refused(cluster: Cluster) -> None:
    with pytest.raises(
        TargetError, match="6 nodes and their endpoint need more than the 6 addresses"
    ):
        kind_config(cluster, "firstlight-infra", IPv4Network("10.6.0.248/29"))


def test_the_engine_never_assigns_an_address_of_a_defined_machine(
    cluster: Cluster,
) -> None:
    offsets = {
        int(node.address) - int(cluster.node_network.network_address) for node in cluster.nodes
    }

    assert str(ADDRESSES) == "10.6.0.224/27"
    assert not {IPv4Network("10.6.0.0/24").network_address + offset for offset in offsets} & set(
        ADDRESSES
    )


@pytest.mark.parametrize("said", ["ten", "10.6.0.0/30", "8.8.8.0/24"])
def test_an_invalid_subnet_is_refused(said: str) -> None:
    with pytest.raises(TargetError, match=f"cannot use '?{said}'? for node containers") as caught:
        subnet_of({"FIRSTLIGHT_KIND_SUBNET": said})

    assert caught.value.next_step == "FIRSTLIGHT_KIND_SUBNET=10.6.0.0/24"


def test_names_and_kubeconfig_differ_from_the_operators_own_clusters(tmp_path: Path) -> None:
    kind = kind_of(LabPaths("infra", tmp_path, tmp_path, target="kind"), {})

    assert (kind.name, kind.network) == ("firstlight-infra", "firstlight-infra-kind")
    assert kind.kubeconfig.is_relative_to(tmp_path)
