"""The inventory of a cluster: what its talconfig.yaml says of nodes, addresses and versions."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from typing import TYPE_CHECKING, Any

from firstlight.definition import document, notation, shape
from firstlight.definition.model import Node, Role
from firstlight.definition.talconfig_shape import TALCONFIG

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from firstlight.definition.findings import Findings

# What Talos itself takes when the definition names none.
_DEFAULT_POD_NETWORK = "10.244.0.0/16"
_DEFAULT_SERVICE_NETWORK = "10.96.0.0/12"


@dataclass(frozen=True, slots=True)
class InventoryNode:
    """A node as the file writes it.

    Attributes:
        index: Its place in the file's list, for messages.
        node: What the rest of the program needs of it.
        interface: Its address with the prefix length, when a link carries it.
        link_field: The dotted name of the link that carries the address, or of the first.
        vip: The shared address that it can hold, as written; empty for none.
        data: The node's own mapping, with the defaults of its group filled in.
    """

    index: int
    node: Node
    interface: IPv4Interface | None
    link_field: str
    vip: str
    data: Mapping[str, Any]

    @property
    def field(self) -> str:
        """The node's dotted name in the file."""
        return f"nodes[{self.index}]"


@dataclass(frozen=True, slots=True)
class Inventory:
    """A talconfig.yaml whose every value has the right type.

    Attributes:
        path: The file, relative to the root.
        data: Its whole content.
        name: The cluster's name.
        endpoint: The Kubernetes API's URL.
        endpoint_host: The host of that URL.
        talos_version: With the leading v.
        kubernetes_version: With the leading v.
        pod_networks: CIDRs of the pods.
        service_networks: CIDRs of the services.
        nodes: In the order of the file.
    """

    path: Path
    data: Mapping[str, Any]
    name: str
    endpoint: str
    endpoint_host: str
    talos_version: str
    kubernetes_version: str
    pod_networks: tuple[IPv4Network, ...]
    service_networks: tuple[IPv4Network, ...]
    nodes: tuple[InventoryNode, ...]

    @property
    def control_plane(self) -> tuple[InventoryNode, ...]:
        """The control plane nodes, in the order of the file."""
        return tuple(node for node in self.nodes if node.node.role is Role.CONTROL_PLANE)


def read_inventory(root: Path, path: Path, findings: Findings) -> Inventory | None:
    """Return the inventory, or nothing where it cannot be understood; what is wrong is noted."""
    found = document.read_document(root, path, findings)
    if found is None or not shape.check(path, found.data, TALCONFIG, findings):
        return None
    data = found.mapping
    notation.check_version(path, "talosVersion", data["talosVersion"], findings)
    notation.check_version(path, "kubernetesVersion", data["kubernetesVersion"], findings)
    nodes = [_node(path, index, data, findings) for index in range(len(data["nodes"]))]
    return Inventory(
        path=path,
        data=data,
        name=data["clusterName"],
        endpoint=data["endpoint"],
        endpoint_host=notation.read_endpoint_host(path, data["endpoint"], findings),
        talos_version=data["talosVersion"],
        kubernetes_version=data["kubernetesVersion"],
        pod_networks=notation.read_networks(
            path, "clusterPodNets", data, _DEFAULT_POD_NETWORK, findings
        ),
        service_networks=notation.read_networks(
            path, "clusterSvcNets", data, _DEFAULT_SERVICE_NETWORK, findings
        ),
        nodes=tuple(node for node in nodes if node is not None),
    )


def group_of(data: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings that a node shares with all nodes of its role."""
    group: Mapping[str, Any] = data.get("controlPlane" if node["controlPlane"] else "worker", {})
    return group


def _node(
    path: Path, index: int, data: Mapping[str, Any], findings: Findings
) -> InventoryNode | None:
    own = data["nodes"][index]
    # talhelper: a node's own setting replaces its group's, patches apart.
    merged = {
        **group_of(data, own),
        **{key: value for key, value in own.items() if value not in ([], {}, "")},
    }
    field = f"nodes[{index}]"
    address = notation.read_address(path, f"{field}.ipAddress", own["ipAddress"], findings)
    notation.check_hostname(path, f"{field}.hostname", own["hostname"], findings)
    notation.check_routing(path, field, {"nameservers": merged.get("nameservers", [])}, findings)
    links = _links(
        path, f"{field}.networkInterfaces", merged.get("networkInterfaces", []), findings
    )
    if address is None:
        return None
    carriers = [
        link for link in links if any(interface.ip == address for interface in link.addresses)
    ]
    link = (carriers or links[:1] or [_Link(f"{field}.networkInterfaces[0]", "", 0, "", "", [])])[0]
    return InventoryNode(
        index=index,
        node=Node(
            hostname=own["hostname"],
            address=address,
            role=Role.CONTROL_PLANE if own["controlPlane"] else Role.WORKER,
            link=link.name,
            mtu=link.mtu,
            bond_mode=link.bond_mode,
        ),
        interface=next(
            (interface for interface in link.addresses if interface.ip == address), None
        ),
        link_field=link.field,
        vip=next((other.vip for other in links if other.vip), ""),
        data=merged,
    )


@dataclass(frozen=True, slots=True)
class _Link:
    """A link that can carry addresses: an interface, or a VLAN on one."""

    field: str
    name: str
    mtu: int
    bond_mode: str
    vip: str
    addresses: list[IPv4Interface]


def _links(
    path: Path, field: str, interfaces: list[Mapping[str, Any]], findings: Findings
) -> list[_Link]:
    links = []
    for index, interface in enumerate(interfaces):
        name, mtu, mode = (
            interface.get("interface", f"link{index}"),
            interface.get("mtu", 0),
            interface.get("bond", {}).get("mode", ""),
        )
        parts = [(f"{field}[{index}]", name, interface)]
        parts += [
            (f"{field}[{index}].vlans[{n}]", f"{name}.{vlan['vlanId']}", vlan)
            for n, vlan in enumerate(interface.get("vlans", []))
        ]
        for where, called, part in parts:
            addresses = notation.read_interfaces(path, where, part, findings)
            notation.check_routing(path, where, part, findings)
            links.append(
                _Link(
                    where,
                    called,
                    part.get("mtu", mtu),
                    mode,
                    part.get("vip", {}).get("ip", ""),
                    addresses,
                )
            )
    return links
