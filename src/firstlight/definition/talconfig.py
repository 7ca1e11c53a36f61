"""The inventory of a cluster: what its talconfig.yaml says of nodes, addresses and versions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network, NetmaskValueError
from typing import TYPE_CHECKING, Any

from firstlight.definition import document, shape
from firstlight.definition.model import Node, Role
from firstlight.definition.talconfig_shape import TALCONFIG

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from firstlight.definition.findings import Findings

_VERSION = re.compile(r"v\d+\.\d+\.\d+(-[0-9A-Za-z][0-9A-Za-z.-]*)?")
_HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ENDPOINT = re.compile(r"https://(?P<host>[^:/\s]+):(?P<port>\d{1,5})")
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
        pod_networks=_networks(path, "clusterPodNets", data, _DEFAULT_POD_NETWORK, findings),
        service_networks=_networks(path, "clusterSvcNets", data, _DEFAULT_SERVICE_NETWORK, findings),
        nodes=tuple(node for node in nodes if node is not None),
    )


def group_of(data: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings that a node shares with all nodes of its role."""
    group: Mapping[str, Any] = data.get("controlPlane" if node["controlPlane"] else "worker", {})
    return group


def _node(path: Path, index: int, data: Mapping[str, Any], findings: Findings) -> InventoryNode | None:
    own = data["nodes"][index]
    # talhelper: a node's own setting replaces its group's, patches apart.
    merged = {**group_of(data, own), **{key: value for key, value in own.items() if value not in ([], {}, "")}}
    field = f"nodes[{index}]"
    address = _address(path, f"{field}.ipAddress", own["ipAddress"], findings)
    _check_hostname(path, f"{field}.hostname", own["hostname"], findings)
    links = _links(path, f"{field}.networkInterfaces", merged.get("networkInterfaces", []), findings)
    if address is None:
        return None
    carriers = [link for link in links if any(interface.ip == address for interface in link.addresses)]
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
        interface=next((interface for interface in link.addresses if interface.ip == address), None),
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


def _links(path: Path, field: str, interfaces: list[Mapping[str, Any]], findings: Findings) -> list[_Link]:
    links = []
    for index, interface in enumerate(interfaces):
        name, mtu, mode = interface.get("interface", f"link{index}"), interface.get("mtu", 0), interface.get("bond", {}).get("mode", "")
        parts = [(f"{field}[{index}]", name, interface)]
        parts += [(f"{field}[{index}].vlans[{n}]", f"{name}.{vlan['vlanId']}", vlan) for n, vlan in enumerate(interface.get("vlans", []))]
        for where, called, part in parts:
            addresses = _interfaces(path, where, part, findings)
            links.append(_Link(where, called, part.get("mtu", mtu), mode, part.get("vip", {}).get("ip", ""), addresses))
    return links


def _interfaces(path: Path, field: str, entry: Mapping[str, Any], findings: Findings) -> list[IPv4Interface]:
    interfaces = []
    for index, text in enumerate(entry.get("addresses", [])):
        try:
            interfaces.append(IPv4Interface(text))
        except (AddressValueError, NetmaskValueError, ValueError):
            findings.add(
                path,
                f"{field}.addresses[{index}]",
                text,
                rule="bad-address",
                message="this is no IPv4 address with a prefix length",
                fix="write it like 10.25.11.11/24",
            )
    return interfaces


def _address(path: Path, field: str, text: str, findings: Findings) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except AddressValueError:
        findings.add(path, field, text, rule="bad-address", message="this is no IPv4 address", fix="write it like 10.25.11.11")
        return None


def _check_hostname(path: Path, field: str, text: str, findings: Findings) -> None:
    if not _HOSTNAME.fullmatch(text):
        findings.add(
            path,
            field,
            text,
            rule="bad-hostname",
            message="this is no valid host name for a Kubernetes node",
            fix="use 1 to 63 lower-case letters, digits and hyphens, beginning and ending with a letter or digit",
        )


def _check_version(path: Path, field: str, text: str, findings: Findings) -> None:
    if _VERSION.fullmatch(text):
        return
    if _VERSION.fullmatch(f"v{text}"):
        findings.add(path, field, text, rule="version-without-v", message="the version lacks its leading v", fix=f"write v{text}")
    else:
        findings.add(
            path,
            field,
            text,
            rule="bad-version",
            message="this is no full semantic version",
            fix="write it like v1.12.0: v, major, minor, patch",
        )


def _endpoint_host(path: Path, text: str, findings: Findings) -> str:
    match = _ENDPOINT.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 65536:
        findings.add(
            path,
            "endpoint",
            text,
            rule="bad-endpoint",
            message="the endpoint is no https URL with a port",
            fix="write it like https://10.25.11.10:6443",
        )
        return ""
    return match["host"]


def _networks(path: Path, key: str, data: Mapping[str, Any], default: str, findings: Findings) -> tuple[IPv4Network, ...]:
    networks = []
    for index, text in enumerate(data.get(key) or [default]):
        try:
            networks.append(IPv4Network(text))
        except ValueError:
            findings.add(
                path, f"{key}[{index}]", text, rule="bad-network", message="this is no IPv4 network", fix=_network_fix(text)
            )
    return tuple(networks)


def _network_fix(text: str) -> str:
    try:
        return f"host bits are set: did you mean {IPv4Network(text, strict=False)}?"
    except ValueError:
        return "write it like 10.42.0.0/16"
