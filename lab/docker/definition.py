"""The definition, changed for machines that are containers: as little as reality demands, in the lab's copy only.

Every change here is a difference between this target and real machines; docs/targets.md lists them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import yaml

from firstlight.errors import TargetError
from lab.docker.network import gateway_of
from lab.docker.settings import Settings
from lab.simulated import stand_in_secrets
from lab.simulated.addresses import Endpoints, map_addresses
from lab.simulated.checkout import Source

LINK = "eth0"
"""How the engine calls the only link of a container."""

CHARTS_REGISTRY_PORT = 5001
MIRROR_PORT = 5000
MIRRORED = ("registry.k8s.io", "ghcr.io", "quay.io", "docker.io", "gcr.io")

_PATCH = Path("patches") / "containers.yaml"
_NOT_HERE = ("BondConfig", "TimeSyncConfig")
"""Documents of patches about what a container does not have: a bond, a clock of its own."""

CILIUM_VALUES: Mapping[str, Any] = {
    # An agent in a container finds no cgroup2 that Talos mounted; it mounts its own, inside the machine's namespace.
    "cgroup": {"autoMount": {"enabled": True}, "hostRoot": "/run/cilium/cgroupv2"},
}
OFFLINE_CILIUM_VALUES: Mapping[str, Any] = {
    # Images built here have digests of their own.
    "image": {"useDigest": False},
    "operator": {"image": {"useDigest": False}},
    "hubble": {"relay": {"image": {"useDigest": False}}},
    "certgen": {"image": {"useDigest": False}},
    # Envoy cannot be had from package registries.
    "envoy": {"enabled": False},
    "l7Proxy": False,
}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What decides how a definition is changed.

    Attributes:
        settings: How many machines, and on which network.
        cgroup_version: Of this computer: Kubernetes refuses version 1 unless told otherwise.
        offline: Whether images and charts come from the lab's own mirror.
    """

    settings: Settings
    cgroup_version: int
    offline: bool


def for_containers(source: Source, cluster: str, here: Circumstances) -> Source:
    """Return the definition of one cluster as its containers need it; other clusters stay as they are.

    Raises:
        TargetError: It has fewer machines than asked for, or its network is of another size.
    """
    network = source.networks[cluster]
    subnet = here.settings.network
    if subnet.prefixlen != network.prefixlen:
        raise TargetError(
            f"cannot put the machines of {network} on {subnet}: both must be of one size",
            next_step=f"choose a network like 10.5.0.0/{network.prefixlen}",
        )
    files = {
        path: _moved(content, network, subnet) if is_of(path, cluster) else content
        for path, content in source.files.items()
    }
    talos = Path("clusters") / cluster / "talos"
    inventory = yaml.safe_load(files[talos / "talconfig.yaml"])
    trim(inventory, here.settings)
    _use_containers_link(inventory)
    files |= _with_patches(talos, inventory, files, here)
    files[talos / "talconfig.yaml"] = dumped([inventory])
    release = Path("clusters") / cluster / "flux" / "config" / "cilium" / "helmrelease.yaml"
    if release in files:
        files[release] = _with_values(
            files[release], [CILIUM_VALUES, *([OFFLINE_CILIUM_VALUES] if here.offline else [])]
        )
    services = {
        cluster: Endpoints(
            gateway_of(subnet), registry_port=CHARTS_REGISTRY_PORT, serves_charts=here.offline
        )
    }
    return Source(dict(sorted(files.items())), {}, services, source.revision)


def trim(inventory: dict[str, Any], settings: Settings) -> None:
    """Keep only so many machines of an inventory, the first of each role.

    Raises:
        TargetError: It has fewer.
    """
    left = {True: settings.control_planes, False: settings.workers}
    kept = []
    for node in inventory["nodes"]:
        role = bool(node["controlPlane"])
        if left[role] > 0:
            left[role] -= 1
            kept.append(node)
    if any(left.values()):
        there = sum(1 for node in inventory["nodes"] if node["controlPlane"])
        raise TargetError(
            f"cannot make {settings.nodes} nodes: the definition has {there}+{len(inventory['nodes']) - there}",
            next_step="ask for no more than it has",
        )
    inventory["nodes"] = kept


def merged(into: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with others laid over them, mapping by mapping."""
    result = dict(into)
    for key, value in other.items():
        there = result.get(key)
        result[key] = (
            merged(there, value) if isinstance(there, dict) and isinstance(value, dict) else value
        )
    return result


def mirror_documents(
    gateway: IPv4Address, registries: Iterable[str] = MIRRORED
) -> list[dict[str, Any]]:
    """Return Talos's own configuration of a registry mirror, as an operator of a site without internet writes it too."""
    endpoint = {"url": f"http://{gateway}:{MIRROR_PORT}"}
    return [
        {
            "apiVersion": "v1alpha1",
            "kind": "RegistryMirrorConfig",
            "name": name,
            "endpoints": [endpoint],
            "skipFallback": True,
        }
        for name in registries
    ]


def is_of(path: Path, cluster: str) -> bool:
    """Whether a file belongs to a cluster and can be changed: encrypted ones are made anew anyway."""
    return len(path.parts) > 1 and path.parts[1] == cluster and not stand_in_secrets.is_sealed(path)


def _moved(content: bytes, network: IPv4Network, subnet: IPv4Network) -> bytes:
    def move(address: IPv4Address) -> IPv4Address:
        return subnet.network_address + (int(address) - int(network.network_address))

    text = content.decode(errors="surrogateescape")
    return map_addresses(text, [network], move).encode(errors="surrogateescape")


def _use_containers_link(inventory: dict[str, Any]) -> None:
    for node in inventory["nodes"]:
        # The engine's own resolver serves a container; the definition's is the site's router.
        node.pop("nameservers", None)
        for interface in node["networkInterfaces"]:
            interface.pop("bond", None)
            interface["interface"] = LINK


def _with_patches(
    talos: Path, inventory: dict[str, Any], files: Mapping[Path, bytes], here: Circumstances
) -> dict[Path, bytes]:
    """Return the patch files that change, and name in the inventory those that are left; ours comes last, so it has the last word."""
    changed: dict[Path, bytes] = {}
    dropped = {*_NOT_HERE, *(["RegistryMirrorConfig"] if here.offline else [])}
    for owner in (
        inventory,
        inventory.get("controlPlane", {}),
        inventory.get("worker", {}),
        *inventory["nodes"],
    ):
        kept = []
        for named in owner.get("patches", []):
            path = talos / str(named).removeprefix("@").removeprefix("./")
            documents = list(
                yaml.safe_load_all(files[path] if str(named).startswith("@") else named)
            )
            left = [
                document
                for document in documents
                if not (isinstance(document, dict) and document.get("kind") in dropped)
            ]
            if not left:
                continue
            kept.append(named)
            if len(left) < len(documents):
                changed[path] = dumped(left)
        if "patches" in owner:
            owner["patches"] = kept
    inventory["patches"] = [*inventory.get("patches", []), f"@./{_PATCH}"]
    return {**changed, talos / _PATCH: dumped(container_documents(here))}


def container_documents(here: Circumstances) -> list[dict[str, Any]]:
    """Return what the machine config of a container has besides the definition."""
    kubelet: dict[str, Any] = {
        # A laptop's disk is fuller than a server's: at the usual 15 % everything would be evicted.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }
    if here.cgroup_version == 1:
        kubelet["failCgroupV1"] = False
    documents: list[dict[str, Any]] = [
        # Machines that share a kernel share its clock and its network: there is nothing to synchronise or to discover.
        {
            "machine": {"kubelet": {"extraConfig": kubelet}},
            "cluster": {"discovery": {"enabled": False}},
        },
        # Nobody answers there, which `talosctl time` is told at once; a server that cannot be reached would be waited for.
        {
            "apiVersion": "v1alpha1",
            "kind": "TimeSyncConfig",
            "enabled": False,
            "ntp": {"servers": ["127.0.0.1"]},
        },
    ]
    return [
        *documents,
        *(mirror_documents(gateway_of(here.settings.network)) if here.offline else []),
    ]


def _with_values(content: bytes, changes: Sequence[Mapping[str, Any]]) -> bytes:
    release = yaml.safe_load(content)
    for change in changes:
        release["spec"]["values"] = merged(release["spec"]["values"], change)
    return dumped([release])


def dumped(documents: Sequence[Any]) -> bytes:
    """Return documents as the text of a YAML file."""
    return yaml.safe_dump_all(documents, sort_keys=False).encode()
