"""The definition, changed for kind's nodes: their names and addresses, in the lab's copy only."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import yaml

from firstlight.definition.model import Cluster, Role
from firstlight.errors import TargetError
from lab.docker.definition import dumped, is_of
from lab.docker.network import gateway_of
from lab.kind.nodes import Found, Node
from lab.kind.settings import SUBNET_VARIABLE
from lab.simulated.addresses import Endpoints, map_addresses
from lab.simulated.checkout import Source


def for_kind(source: Source, cluster: Cluster, subnet: IPv4Network, found: Found) -> Source:
    """Return the definition of one cluster as kind made it; other clusters stay as they are."""
    network = source.networks[cluster.name]
    nodes = _matched(cluster, found)
    moved = {
        **{address: node.address for address, node in nodes.items()},
        cluster.vip: found.endpoint,
    }

    def move(address: IPv4Address) -> IPv4Address:
        return moved.get(
            address, subnet.network_address + (int(address) - int(network.network_address))
        )

    files = {
        path: _moved(content, network, move) if is_of(path, cluster.name) else content
        for path, content in source.files.items()
    }
    inventory_file = Path("clusters") / cluster.name / "talos" / "talconfig.yaml"
    inventory = yaml.safe_load(files[inventory_file])
    names = {str(node.address): node.hostname for node in nodes.values()}
    for entry in inventory["nodes"]:
        entry["hostname"] = names[entry["ipAddress"]]
    files[inventory_file] = dumped([inventory])
    services = {cluster.name: Endpoints(gateway_of(subnet), serves_charts=False)}
    return Source(dict(sorted(files.items())), {}, services, source.revision)


def require_same_size(subnet: IPv4Network, defined: IPv4Network) -> None:
    """Make sure that every address of the definition has one on the network of kind's nodes.

    Raises:
        TargetError: It is of another size.
    """
    if subnet.prefixlen != defined.prefixlen:
        raise TargetError(
            f"cannot put the machines of {defined} on {subnet}: both must be of one size",
            next_step=f"{SUBNET_VARIABLE}=10.6.0.0/{defined.prefixlen}",
        )


def _matched(cluster: Cluster, found: Found) -> dict[IPv4Address, Node]:
    """Return kind's node for each address of the definition, role by role in the definition's order."""
    left = {True: list(found.control_planes), False: list(found.workers)}
    return {node.address: left[node.role is Role.CONTROL_PLANE].pop(0) for node in cluster.nodes}


def _moved(
    content: bytes, network: IPv4Network, move: Callable[[IPv4Address], IPv4Address]
) -> bytes:
    text = content.decode(errors="surrogateescape")
    return map_addresses(text, [network], move).encode(errors="surrogateescape")
