"""The choices of a kind lab, and kind's configuration for a definition.

kind creates the same nodes on the same networks, without CNI, kube-proxy and CoreDNS.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

import yaml

from firstlight.definition.model import Cluster, Role
from firstlight.errors import TargetError
from lab.docker.settings import network_of

SUBNET_VARIABLE = "FIRSTLIGHT_KIND_SUBNET"
_SUBNET = "10.6.0.0/24"

IMAGES: Mapping[str, str] = {
    "v1.35.0": "kindest/node:v1.35.0@sha256:"
    "452d707d4862f52530247495d180205e029056831160e22870e37e3f6c1ac31f"
}
"""The node image of each Kubernetes version, by digest: kind reuses tags for rebuilt images."""

_SKIPPED_PHASES = ("preflight", "addon/kube-proxy", "addon/coredns")
"""kind skips the first two itself, but this list replaces its own. CoreDNS is one of our releases,
and Helm does not adopt objects that something else created."""

_CRI_SECTIONS: Mapping[int, str] = {
    2: "io.containerd.grpc.v1.cri",
    3: "io.containerd.cri.v1.images",
}
"""The section about images in each version of containerd's configuration; kind applies the patch
that matches."""


def subnet_of(environ: Mapping[str, str]) -> IPv4Network:
    """Return the network for the containers.

    Raises:
        TargetError: The chosen network is invalid.
    """
    return network_of(environ.get(SUBNET_VARIABLE) or _SUBNET, SUBNET_VARIABLE, _SUBNET)


def engine_range(subnet: IPv4Network) -> IPv4Network:
    """Return the addresses that the engine may assign: the last eighth, where no machine is."""
    return list(subnet.subnets(prefixlen_diff=3))[-1]


def kind_config(cluster: Cluster, name: str, addresses: IPv4Network) -> dict[str, Any]:
    """Return kind's configuration of a cluster.

    Args:
        cluster: The definition.
        name: The cluster's name in kind.
        addresses: The range from which the engine assigns container addresses. The endpoint's
            address is known only afterwards, so the certificate names all of them.

    Raises:
        TargetError: kind cannot create what is defined.
    """
    image = IMAGES.get(cluster.kubernetes_version)
    if image is None:
        raise TargetError(
            f"cannot make {cluster.name} with kind: no node image for Kubernetes "
            f"{cluster.kubernetes_version} is pinned, only for {', '.join(IMAGES)}",
            next_step="add it to IMAGES in lab/kind/config.py, from the release notes of kind",
        )
    roles = [
        "control-plane" if node.role is Role.CONTROL_PLANE else "worker" for node in cluster.nodes
    ]
    _require_endpoint(cluster, roles.count("control-plane"))
    # Spegel writes its mirrors to Talos' path, as the definition says; containerd must read there.
    mirrors = str(cluster.release("spegel").values["spegel"]["containerdRegistryConfigPath"])
    room = addresses.num_addresses - 2
    if len(roles) + 1 > room:
        raise TargetError(
            f"cannot make {cluster.name} with kind: {len(roles)} nodes and their endpoint need "
            f"more than the {room} addresses of {addresses}"
        )
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": name,
        "networking": {
            "ipFamily": "ipv4",
            "apiServerAddress": "127.0.0.1",
            "podSubnet": ",".join(map(str, cluster.pod_networks)),
            "serviceSubnet": ",".join(map(str, cluster.service_networks)),
            "disableDefaultCNI": True,
            "kubeProxyMode": "none",
        },
        "nodes": [{"role": role, "image": image} for role in roles],
        "kubeadmConfigPatches": [_cluster_patch(addresses), _init_patch()],
        "containerdConfigPatches": [
            _containerd_patch(version, section, mirrors)
            for version, section in _CRI_SECTIONS.items()
        ],
    }


def _require_endpoint(cluster: Cluster, control_planes: int) -> None:
    # kind's load balancer stands in for the VIP, and kind creates one only for several control
    # plane nodes.
    if control_planes < 2:  # noqa: PLR2004 - kind needs two for a load balancer
        raise TargetError(
            f"cannot create {cluster.name} with kind: with {control_planes} control plane node, "
            f"the endpoint {cluster.vip} has no address of its own",
            next_step="use the docker target, whose machines share a real VIP",
        )


def _cluster_patch(addresses: IPv4Network) -> str:
    names = ["localhost", "127.0.0.1", *map(str, list(addresses)[:-1])]
    return yaml.safe_dump(
        {"kind": "ClusterConfiguration", "apiServer": {"certSANs": names}}, sort_keys=False
    )


def _init_patch() -> str:
    return yaml.safe_dump(
        {"kind": "InitConfiguration", "skipPhases": list(_SKIPPED_PHASES)}, sort_keys=False
    )


def _containerd_patch(version: int, section: str, mirrors: str) -> str:
    # Spegel serves layers as they were pulled, so containerd must keep them after unpacking.
    layers = (
        f'[plugins."{section}".containerd]'
        if version == min(_CRI_SECTIONS)
        else f'[plugins."{section}"]'
    )
    return (
        f"version = {version}\n{layers}\n  discard_unpacked_layers = false\n"
        f'[plugins."{section}".registry]\n  config_path = "{mirrors}"\n'
    )
