"""What kind is told to make of a definition: as many nodes, the same networks, no CNI, no kube-proxy, no CoreDNS."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

import yaml

from firstlight.definition.model import Cluster, Role
from firstlight.errors import TargetError

IMAGES: Mapping[str, str] = {
    "v1.35.0": "kindest/node:v1.35.0@sha256:452d707d4862f52530247495d180205e029056831160e22870e37e3f6c1ac31f"
}
"""The node image of each version of Kubernetes, by its digest: kind's maintainers push a tag again when they rebuild an image."""

_SKIPPED_PHASES = ("preflight", "addon/kube-proxy", "addon/coredns")
"""kind skips the first two by itself; its list is replaced. CoreDNS is a release of ours, and Helm adopts nobody else's."""

_CRI_SECTIONS: Mapping[int, str] = {
    2: "io.containerd.grpc.v1.cri",
    3: "io.containerd.cri.v1.images",
}
"""Where a containerd of each configuration version is told about images; kind applies the patch of the version that it finds."""


def kind_config(cluster: Cluster, name: str, addresses: IPv4Network) -> dict[str, Any]:
    """Return kind's configuration of a cluster.

    Args:
        cluster: The definition.
        name: What kind is to call the cluster.
        addresses: Where the engine takes the containers' addresses from. Which one the endpoint gets is known only afterwards, so its certificate names all.

    Raises:
        TargetError: kind cannot make what is defined.
    """
    image = IMAGES.get(cluster.kubernetes_version)
    if image is None:
        raise TargetError(
            f"cannot make {cluster.name} with kind: no node image for Kubernetes {cluster.kubernetes_version} is pinned, only for {', '.join(IMAGES)}",
            next_step="add it to IMAGES in lab/kind/config.py, from the release notes of kind",
        )
    roles = [
        "control-plane" if node.role is Role.CONTROL_PLANE else "worker" for node in cluster.nodes
    ]
    _require_endpoint(cluster, roles.count("control-plane"))
    # containerd looks for mirrors where Spegel writes them: on Talos's path, as the definition has it.
    mirrors = str(cluster.release("spegel").values["spegel"]["containerdRegistryConfigPath"])
    room = addresses.num_addresses - 2
    if len(roles) + 1 > room:
        raise TargetError(
            f"cannot make {cluster.name} with kind: {len(roles)} nodes and their endpoint need more than the {room} addresses of {addresses}"
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
    # kind puts a load balancer before several control planes only; that is what stands for the VIP.
    if control_planes < 2:  # noqa: PLR2004 - one is no cluster behind a balancer
        raise TargetError(
            f"cannot make {cluster.name} with kind: with {control_planes} control plane node its endpoint {cluster.vip} has no address of its own",
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
    # Spegel hands on the layers as they were pulled, so they are kept after they were unpacked.
    layers = (
        f'[plugins."{section}".containerd]'
        if version == min(_CRI_SECTIONS)
        else f'[plugins."{section}"]'
    )
    return f'version = {version}\n{layers}\n  discard_unpacked_layers = false\n[plugins."{section}".registry]\n  config_path = "{mirrors}"\n'
