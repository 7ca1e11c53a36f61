"""Read the inventory of a cluster, its talconfig.yaml: versions, endpoint, networks and nodes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from typing import TYPE_CHECKING, Any

from firstlight.definition import addresses, document, schema
from firstlight.definition.model import Node, Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from firstlight.definition.findings import Findings

# Talos's own defaults.
_DEFAULT_POD_NETWORK = "10.244.0.0/16"
_DEFAULT_SERVICE_NETWORK = "10.96.0.0/12"

_VERSION = re.compile(r"v\d+\.\d+\.\d+(-[0-9A-Za-z][0-9A-Za-z.-]*)?")
_HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ENDPOINT = re.compile(r"https://(?P<host>[^:/\s]+):(?P<port>\d{1,5})")
_PORT_MAX = 65_535


@dataclass(frozen=True, slots=True)
class InventoryNode:
    """A node of the inventory.

    Attributes:
        index: Its position in the file's list, for messages.
        node: The node as the rest of the program knows it.
        interface: Its address with the prefix length, if a link has the address.
        link_field: The dotted name of the link that has the address, or of the first link.
        vip: The shared address as written; empty if the node has none.
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
    """A talconfig.yaml whose values all have the right type.

    Attributes:
        path: The file, relative to the root.
        data: Its whole content.
        name: The cluster's name.
        endpoint: The URL of the Kubernetes API.
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
    """Return the inventory, or `None` if its values have the wrong types, and add problems."""
    found = document.read_document(root, path, findings)
    if found is None or not schema.check(path, found.data, schema.TALCONFIG, findings):
        return None
    data = found.mapping
    _check_version(path, "talosVersion", data["talosVersion"], findings)
    _check_version(path, "kubernetesVersion", data["kubernetesVersion"], findings)
    nodes = [_node(path, index, data, findings) for index in range(len(data["nodes"]))]
    return Inventory(
        path=path,
        data=data,
        name=data["clusterName"],
        endpoint=data["endpoint"],
        endpoint_host=_endpoint_host(path, data["endpoint"], findings),
        talos_version=data["talosVersion"],
        kubernetes_version=data["kubernetesVersion"],
        pod_networks=addresses.read_networks(
            path, "clusterPodNets", data, _DEFAULT_POD_NETWORK, findings
        ),
        service_networks=addresses.read_networks(
            path, "clusterSvcNets", data, _DEFAULT_SERVICE_NETWORK, findings
        ),
        nodes=tuple(node for node in nodes if node is not None),
    )


def _check_version(path: Path, field: str, text: str, findings: Findings) -> None:
    if _VERSION.fullmatch(text):
        return
    if _VERSION.fullmatch(f"v{text}"):
        findings.add(
            path,
            field,
            text,
            rule="version-without-v",
            message="the version has no leading v",
            fix=f"write v{text}",
        )
    else:
        findings.add(
            path,
            field,
            text,
            rule="bad-version",
            message="this is not a full semantic version",
            fix="write it like v1.12.0: v, major, minor, patch",
        )


def _check_hostname(path: Path, field: str, text: str, findings: Findings) -> None:
    if not _HOSTNAME.fullmatch(text):
        findings.add(
            path,
            field,
            text,
            rule="bad-hostname",
            message="Kubernetes does not accept this name for a node",
            fix="use 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at "
            "both ends",
        )


def _endpoint_host(path: Path, text: str, findings: Findings) -> str:
    match = _ENDPOINT.fullmatch(text)
    if match is None or not 0 < int(match["port"]) <= _PORT_MAX:
        findings.add(
            path,
            "endpoint",
            text,
            rule="bad-endpoint",
            message="the endpoint is not an https URL with a port",
            fix="write it like https://10.25.11.10:6443",
        )
        return ""
    return match["host"]


def _node(
    path: Path, index: int, data: Mapping[str, Any], findings: Findings
) -> InventoryNode | None:
    own = data["nodes"][index]
    group = data.get("controlPlane" if own["controlPlane"] else "worker", {})
    # As talhelper does: a setting of the node replaces that of its group, except for patches.
    merged = {**group, **{key: value for key, value in own.items() if value not in ([], {}, "")}}
    field = f"nodes[{index}]"
    address = addresses.read_address(path, f"{field}.ipAddress", own["ipAddress"], findings)
    _check_hostname(path, f"{field}.hostname", own["hostname"], findings)
    addresses.check_routing(path, field, {"nameservers": merged.get("nameservers", [])}, findings)
    interfaces = merged.get("networkInterfaces", [])
    links = list(_links(path, f"{field}.networkInterfaces", interfaces, findings))
    if address is None:
        return None
    carriers = [link for link in links if any(one.ip == address for one in link.addresses)]
    link = (carriers or links or [_Link(f"{field}.networkInterfaces[0]", "", 0, "", "", [])])[0]
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
        interface=next((one for one in link.addresses if one.ip == address), None),
        link_field=link.field,
        vip=next((other.vip for other in links if other.vip), ""),
        data=merged,
    )


@dataclass(frozen=True, slots=True)
class _Link:
    """A link that can have addresses: an interface, or a VLAN on one."""

    field: str
    name: str
    mtu: int
    bond_mode: str
    vip: str
    addresses: list[IPv4Interface]


def _links(
    path: Path, field: str, interfaces: list[Mapping[str, Any]], findings: Findings
) -> Iterator[_Link]:
    for index, interface in enumerate(interfaces):
        where, name = f"{field}[{index}]", interface.get("interface", f"link{index}")
        parts = [(where, name, interface)]
        parts += [
            (f"{where}.vlans[{number}]", f"{name}.{vlan['vlanId']}", vlan)
            for number, vlan in enumerate(interface.get("vlans", []))
        ]
        for part_field, part_name, part in parts:
            addresses.check_routing(path, part_field, part, findings)
            yield _Link(
                field=part_field,
                name=part_name,
                # A VLAN inherits the MTU and the bond of its interface.
                mtu=part.get("mtu", interface.get("mtu", 0)),
                bond_mode=interface.get("bond", {}).get("mode", ""),
                vip=part.get("vip", {}).get("ip", ""),
                addresses=addresses.read_interfaces(path, part_field, part, findings),
            )
