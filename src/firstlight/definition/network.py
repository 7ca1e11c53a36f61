"""Rules for the nodes' addresses, the VIP and the networks of one cluster."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from itertools import combinations
from typing import TYPE_CHECKING

from firstlight.definition.model import Role

if TYPE_CHECKING:
    from ipaddress import IPv4Network

    from firstlight.definition.findings import Findings
    from firstlight.definition.talconfig import Inventory, InventoryNode


@dataclass(frozen=True, slots=True)
class Network:
    """The network that all nodes share, and the address that the control plane shares on it."""

    nodes: IPv4Network
    vip: IPv4Address


def check_network(inventory: Inventory, findings: Findings) -> Network | None:
    """Return the node network and the VIP, or nothing where they cannot be told; what is wrong is noted."""
    _check_unique(inventory, findings)
    network = _node_network(inventory, findings)
    vip = _vip(inventory, findings)
    if vip is not None:
        _check_vip(inventory, vip, network, findings)
    if network is None:
        return None
    _check_disjoint(inventory, network, findings)
    return None if vip is None else Network(network, vip)


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
                message=f"the address is used by both {_named(other)} and {_named(node)}",
                fix="give each node an address of its own",
            )
        other = hostnames.setdefault(node.node.hostname, node)
        if other is not node:
            findings.add(
                inventory.path,
                f"{node.field}.hostname",
                node.node.hostname,
                rule="duplicate-hostname",
                message=f"the name is used by both {other.field} and {node.field}",
                fix="give each node a name of its own",
            )


def _node_network(inventory: Inventory, findings: Findings) -> IPv4Network | None:
    # The definition has no field for it: it is the network that most nodes' interfaces are on.
    networks = Counter(node.interface.network for node in inventory.nodes if node.interface)
    for node in inventory.nodes:
        if node.interface is None:
            findings.add(
                inventory.path,
                f"{node.field}.networkInterfaces",
                None,
                rule="address-on-no-link",
                message=f"no interface of {node.node.hostname} carries its ipAddress {node.node.address}",
                fix=f"add it to one interface's `addresses`, with the prefix length ({node.node.address}/24)",
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
                message=f"the worker {node.node.hostname} holds a VIP",
                fix="remove it: only control plane nodes elect the VIP, through etcd",
            )
    for node in inventory.control_plane:
        if node.vip:
            written.setdefault(node.vip, node)
        elif node.interface is not None:
            findings.add(
                inventory.path,
                f"{node.link_field}.vip",
                None,
                rule="vip-missing",
                message=f"the control plane node {node.node.hostname} cannot hold the VIP",
                fix=f"add `vip: {{ip: {inventory.endpoint_host or '10.25.11.10'}}}` to the link that carries its address",
            )
    if len(written) > 1:
        (first, node), (second, other) = list(written.items())[:2]
        findings.add(
            inventory.path,
            f"{other.link_field}.vip.ip",
            second,
            rule="vip-differs",
            message=f"{other.node.hostname} has another VIP than {node.node.hostname} ({first})",
            fix="give all control plane nodes the same VIP",
        )
    return _vip_address(inventory, written, findings)


def _vip_address(
    inventory: Inventory, written: dict[str, InventoryNode], findings: Findings
) -> IPv4Address | None:
    for text, node in written.items():
        try:
            return IPv4Address(text)
        except AddressValueError:
            findings.add(
                inventory.path,
                f"{node.link_field}.vip.ip",
                text,
                rule="bad-address",
                message="this is no IPv4 address",
                fix="write it like 10.25.11.10, without a prefix length",
            )
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
            fix=f"use a free address of {network}: the VIP is announced by ARP and cannot leave its network",
        )
    for node in inventory.nodes:
        if node.node.address == vip:
            findings.add(
                inventory.path,
                field,
                vip,
                rule="vip-is-node",
                message=f"the VIP is the address of {node.node.hostname}",
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
    _check_certificates(inventory, vip, findings)


def _check_certificates(inventory: Inventory, vip: IPv4Address, findings: Findings) -> None:
    for key, port in (("additionalApiServerCertSans", 6443), ("additionalMachineCertSans", 50000)):
        if str(vip) not in inventory.data.get(key, []):
            findings.add(
                inventory.path,
                key,
                None,
                rule="vip-not-in-certificate",
                message=f"the VIP {vip} is missing, so x509 refuses it on port {port}",
                fix=f"add {vip} to {key}",
            )


def _check_disjoint(inventory: Inventory, network: IPv4Network, findings: Findings) -> None:
    named = [("the node network", "nodes", network)]
    named += [("the pod network", "clusterPodNets", pods) for pods in inventory.pod_networks]
    named += [
        ("the service network", "clusterSvcNets", services)
        for services in inventory.service_networks
    ]
    for (first_name, _, first), (second_name, field, second) in combinations(named, 2):
        if first.overlaps(second):
            findings.add(
                inventory.path,
                field,
                second,
                rule="networks-overlap",
                message=f"{second_name} overlaps {first_name} {first}",
                fix="use networks that share no address",
            )


def _named(node: InventoryNode) -> str:
    return f"{node.node.hostname} ({node.field})"
