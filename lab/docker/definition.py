"""Adapt the definition to machines that are containers: only what must change, in the lab's copy.

Each change here is a difference between this target and real machines; docs/targets.md lists them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import yaml

from firstlight.errors import TargetError
from lab.docker.mirror import CHARTS_REGISTRY_PORT, mirror_documents
from lab.docker.network import gateway_of
from lab.docker.settings import SUBNET_VARIABLE, Settings
from lab.simulated import stand_in_secrets
from lab.simulated.addresses import Endpoints, map_addresses
from lab.simulated.checkout import Source

LINK = "eth0"
"""The engine's name for a container's only link."""

_PATCH = Path("patches") / "containers.yaml"
_NOT_HERE = ("BondConfig", "TimeSyncConfig")
"""Patch documents about what a container lacks: a bond, and a clock of its own."""

CILIUM_VALUES: Mapping[str, Any] = {
    # Talos mounts no cgroup2 in a container, so the agent mounts its own inside the machine's
    # namespace.
    "cgroup": {"autoMount": {"enabled": True}, "hostRoot": "/run/cilium/cgroupv2"},
}
OFFLINE_CILIUM_VALUES: Mapping[str, Any] = {
    # Images that are built here have other digests.
    "image": {"useDigest": False},
    "operator": {"image": {"useDigest": False}},
    "hubble": {"relay": {"image": {"useDigest": False}}},
    "certgen": {"image": {"useDigest": False}},
    # Envoy is not available from package registries.
    "envoy": {"enabled": False},
    "l7Proxy": False,
}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What decides how a definition is changed.

    Attributes:
        settings: How many machines, and on which network.
        cgroup_version: The host's version: Kubernetes rejects version 1 unless configured.
        offline: Whether images and charts come from the lab's mirror.
    """

    settings: Settings
    cgroup_version: int
    offline: bool


def for_containers(source: Source, cluster: str, here: Circumstances) -> Source:
    """Return the definition of one cluster as its containers need it; others stay as they are.

    Raises:
        TargetError: It has fewer machines than requested, or its network has another size.
    """
    subnet = here.settings.network
    files = renumber(source, cluster, subnet, SUBNET_VARIABLE)
    talos = Path("clusters") / cluster / "talos"
    inventory = yaml.safe_load(files[talos / "talconfig.yaml"])
    trim(inventory, here.settings)
    _use_containers_link(inventory)
    files |= _with_patches(talos, inventory, files, here)
    files[talos / "talconfig.yaml"] = dump([inventory])
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


def renumber(
    source: Source,
    cluster: str,
    subnet: IPv4Network,
    variable: str,
    known: Mapping[IPv4Address, IPv4Address] | None = None,
) -> dict[Path, bytes]:
    """Return the files of a checkout with one cluster's node network moved to another subnet.

    Encrypted files stay as they are: the lab generates its own.

    Args:
        source: The checkout.
        cluster: The cluster to move.
        subnet: The new network.
        variable: The environment variable that selects it.
        known: New addresses that differ from the same number on the new network.

    Raises:
        TargetError: The networks differ in size.
    """
    network = source.network(cluster)
    require_same_size(network, subnet, variable)

    def move(address: IPv4Address) -> IPv4Address:
        same = subnet.network_address + (int(address) - int(network.network_address))
        return (known or {}).get(address, same)

    def moved(content: bytes) -> bytes:
        text = content.decode(errors="surrogateescape")
        return map_addresses(text, [network], move).encode(errors="surrogateescape")

    return {
        path: moved(content) if _is_plain_file_of(cluster, path) else content
        for path, content in source.files.items()
    }


def require_same_size(defined: IPv4Network, subnet: IPv4Network, variable: str) -> None:
    """Make sure that every address of the definition has a counterpart on the lab's network.

    Raises:
        TargetError: The networks differ in size.
    """
    if subnet.prefixlen != defined.prefixlen:
        fitting = IPv4Network((subnet.network_address, defined.prefixlen), strict=False)
        raise TargetError(
            f"cannot put the machines of {defined} on {subnet}: both must have the same size",
            next_step=f"{variable}={fitting}",
        )


def trim(inventory: dict[str, Any], settings: Settings) -> None:
    """Keep only the requested number of machines in an inventory, the first of each role.

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
            f"cannot make {settings.nodes} nodes: the definition has "
            f"{there}+{len(inventory['nodes']) - there}",
            next_step="ask for no more than it has",
        )
    inventory["nodes"] = kept


def merged(into: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with others merged over them, mapping by mapping."""
    result = dict(into)
    for key, value in other.items():
        there = result.get(key)
        result[key] = (
            merged(there, value) if isinstance(there, dict) and isinstance(value, dict) else value
        )
    return result


def _is_plain_file_of(cluster: str, path: Path) -> bool:
    return len(path.parts) > 1 and path.parts[1] == cluster and not stand_in_secrets.is_sealed(path)


def _use_containers_link(inventory: dict[str, Any]) -> None:
    for node in inventory["nodes"]:
        # A container uses the engine's resolver; the definition names the site's router.
        node.pop("nameservers", None)
        for interface in node["networkInterfaces"]:
            interface.pop("bond", None)
            interface["interface"] = LINK


def _with_patches(
    talos: Path, inventory: dict[str, Any], files: Mapping[Path, bytes], here: Circumstances
) -> dict[Path, bytes]:
    """Return the changed patch files, and drop empty ones from the inventory.

    Our own patch is the last, so it overrides the others.
    """
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
                changed[path] = dump(left)
        if "patches" in owner:
            owner["patches"] = kept
    inventory["patches"] = [*inventory.get("patches", []), f"@./{_PATCH}"]
    return {**changed, talos / _PATCH: dump(container_documents(here))}


def container_documents(here: Circumstances) -> list[dict[str, Any]]:
    """Return what a container's machine config has besides the definition."""
    kubelet: dict[str, Any] = {
        # A laptop's disk is fuller than a server's: the usual 15 % would evict everything.
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
        # Machines that share a kernel share its clock and its network, so there is nothing to
        # synchronise or to discover.
        {
            "machine": {"kubelet": {"extraConfig": kubelet}},
            "cluster": {"discovery": {"enabled": False}},
        },
        # `talosctl time` fails at once when nothing listens on the address; it would wait for an
        # unreachable server.
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
    return dump([release])


def dump(documents: Sequence[Any]) -> bytes:
    """Return documents as the text of a YAML file."""
    return yaml.safe_dump_all(documents, sort_keys=False).encode()
