"""Check the addresses, the VIP and the networks of one cluster."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations
from typing import TYPE_CHECKING

from firstlight.definition.addresses import read_address
from firstlight.definition.model import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firstlight.definition.findings import Findings
    from firstlight.definition.talconfig import Inventory, InventoryNode


@dataclass(frozen=True, slots=True)
class Network:
    """The network that all nodes share, and the control plane's shared address on it."""

    nodes: IPv4Network
    vip: IPv4Address


def check_network(inventory: Inventory, findings: Findings) -> Network | None:
    """Return the node network and the VIP, or `None` if either is unknown, and add problems."""
    _check_unique(inventory, findings)
    network = _node_network(inventory, findings)
    vip = _vip(inventory, findings)
    if vip is not None:
        _check_vip(inventory, vip, network, findings)
    if network is None:
        return None
    _check_disjoint(inventory, network, findings)
    return None if vip is None else Network(network, vip)


def networks_of(
    inventory: Inventory, nodes: IPv4Network | None
) -> Iterator[tuple[str, str, IPv4Network]]:
    """Yield each network of a cluster: what it is, its field in the inventory, and the network."""
    if nodes is not None:
        yield "node network", "nodes", nodes
    for pods in inventory.pod_networks:
        yield "pod network", "clusterPodNets", pods
    for services in inventory.service_networks:
        yield "service network", "clusterSvcNets", services


def _check_unique(inventory: Inventory, findings: Findings) -> None:
    addresses: dict[IPv4Address, InventoryNode] = {}
    hostnames: dict[str, InventoryNode] = {}
    for node in inventory.nodes:
        other = addresses.setdefault(node.node.address, node)
        if other is not node:
            findings.add(
                inventory.path,
                f"{node.field}.ipAddress",
                node.node.address,
                rule="duplicate-address",
                message=f"{_named(other)} and {_named(node)} have the same address",
                fix="give each node its own address",
            )
        other = hostnames.setdefault(node.node.hostname, node)
        if other is not node:
            findings.add(
                inventory.path,
                f"{node.field}.hostname",
                node.node.hostname,
                rule="duplicate-hostname",
                message=f"{other.field} and {node.field} have the same hostname",
                fix="give each node its own hostname",
            )


def _node_network(inventory: Inventory, findings: Findings) -> IPv4Network | None:
    # The inventory has no field for it: it is the network of most nodes' addresses.
    networks = Counter(node.interface.network for node in inventory.nodes if node.interface)
    for node in inventory.nodes:
        if node.interface is None:
            hostname, address = node.node.hostname, node.node.address
            findings.add(
                inventory.path,
                f"{node.field}.networkInterfaces",
                None,
                rule="address-on-no-link",
                message=f"no interface of {hostname} has its ipAddress {address}",
                fix=f"add {address}/24 (with the right prefix length) to the `addresses` of one "
                "interface",
            )
    if not networks:
        return None
    network = networks.most_common(1)[0][0]
    for node in inventory.nodes:
        if node.interface is not None and node.interface.network != network:
            findings.add(
                inventory.path,
                f"{node.field}.ipAddress",
                node.interface,
                rule="address-outside-network",
                message=f"{node.node.hostname} is outside the node network {network}",
                fix=f"use a free address of {network}",
            )
    return network


def _vip(inventory: Inventory, findings: Findings) -> IPv4Address | None:
    written: dict[str, InventoryNode] = {}
    for node in inventory.nodes:
        if node.node.role is Role.WORKER and node.vip:
            findings.add(
                inventory.path,
                f"{node.link_field}.vip",
                node.vip,
                rule="vip-on-worker",
                message=f"the worker {node.node.hostname} has a VIP",
                fix="remove it: the VIP is elected through etcd, by control plane nodes only",
            )
    for node in inventory.control_plane:
        if node.vip:
            written.setdefault(node.vip, node)
        elif node.interface is not None:
            vip = inventory.endpoint_host or "10.25.11.10"
            findings.add(
                inventory.path,
                f"{node.link_field}.vip",
                None,
                rule="vip-missing",
                message=f"the control plane node {node.node.hostname} has no VIP",
                fix=f"add `vip: {{ip: {vip}}}` to the link that has the node's address",
            )
    if len(written) > 1:
        (first, node), (second, other) = list(written.items())[:2]
        findings.add(
            inventory.path,
            f"{other.link_field}.vip.ip",
            second,
            rule="vip-differs",
            message=f"the VIP of {other.node.hostname} differs from that of "
            f"{node.node.hostname} ({first})",
            fix="use the same VIP on all control plane nodes",
        )
    for text, node in written.items():
        address = read_address(inventory.path, f"{node.link_field}.vip.ip", text, findings)
        if address is not None:
            return address
    return None


def _check_vip(
    inventory: Inventory, vip: IPv4Address, network: IPv4Network | None, findings: Findings
) -> None:
    field = f"{inventory.control_plane[0].link_field}.vip.ip"
    if network is not None and vip not in network:
        findings.add(
            inventory.path,
            field,
            vip,
            rule="vip-outside-network",
            message=f"the VIP is outside the node network {network}",
            fix=f"use a free address of {network}: the VIP is announced by ARP, which does not "
            "leave the network",
        )
    for node in inventory.nodes:
        if node.node.address == vip:
            findings.add(
                inventory.path,
                field,
                vip,
                rule="vip-is-node",
                message=f"the VIP is also the address of {node.node.hostname}",
                fix="use an address that no node has",
            )
    if inventory.endpoint_host and inventory.endpoint_host != str(vip):
        findings.add(
            inventory.path,
            "endpoint",
            inventory.endpoint,
            rule="endpoint-not-vip",
            message=f"the host of the endpoint is not the VIP {vip}",
            fix=f"write https://{vip}:6443, or change the VIP",
        )
    for key, port in (("additionalApiServerCertSans", 6443), ("additionalMachineCertSans", 50000)):
        if str(vip) not in inventory.data.get(key, []):
            findings.add(
                inventory.path,
                key,
                None,
                rule="vip-not-in-certificate",
                message=f"the VIP {vip} is missing, so x509 verification fails on port {port}",
                fix=f"add {vip} to {key}",
            )


def _check_disjoint(inventory: Inventory, network: IPv4Network, findings: Findings) -> None:
    for (first_what, _, first), (what, field, second) in combinations(
        networks_of(inventory, network), 2
    ):
        if first.overlaps(second):
            findings.add(
                inventory.path,
                field,
                second,
                rule="networks-overlap",
                message=f"the {what} overlaps the {first_what} {first}",
                fix="use networks that do not overlap",
            )


def _named(node: InventoryNode) -> str:
    return f"{node.node.hostname} ({node.field})"
