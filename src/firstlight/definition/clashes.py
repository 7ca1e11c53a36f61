"""Rules between clusters: names, identities, addresses and networks that two of them claim."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Network
    from pathlib import Path

    from firstlight.definition.findings import Findings
    from firstlight.definition.network import Network
    from firstlight.definition.talconfig import Inventory


@dataclass(frozen=True, slots=True)
class Claim:
    """What one cluster claims for itself.

    Attributes:
        inventory: Its nodes and networks.
        network: Its node network and VIP, if they can be told.
        cluster_id: Its Cilium cluster.id, 0 if it cannot be told.
        cilium_path: Where that is written.
    """

    inventory: Inventory
    network: Network | None
    cluster_id: int
    cilium_path: Path

    @property
    def networks(self) -> Iterator[tuple[str, str, IPv4Network]]:
        """The cluster's networks, each with what it is and its field."""
        if self.network is not None:
            yield "node network", "nodes", self.network.nodes
        for pods in self.inventory.pod_networks:
            yield "pod network", "clusterPodNets", pods
        for services in self.inventory.service_networks:
            yield "service network", "clusterSvcNets", services


def check_clashes(claims: list[Claim], findings: Findings) -> None:
    """Note everything that two clusters claim at once."""
    for first, second in combinations(claims, 2):
        _check_identity(first, second, findings)
        _check_addresses(first, second, findings)
        _check_networks(first, second, findings)


def _check_identity(first: Claim, second: Claim, findings: Findings) -> None:
    if first.inventory.name == second.inventory.name:
        findings.add(
            second.inventory.path,
            "clusterName",
            second.inventory.name,
            rule="cluster-name-clash",
            message=f"{first.inventory.path} has the same name",
            fix="give each cluster a name of its own: kubeconfig, context and Cilium go by it",
        )
    if first.cluster_id and first.cluster_id == second.cluster_id:
        findings.add(
            second.cilium_path,
            "spec.values.cluster.id",
            second.cluster_id,
            rule="cluster-id-clash",
            message=f"{first.inventory.name} and {second.inventory.name} have the same cluster.id",
            fix="give each cluster one of its own: Cluster Mesh tells them apart by it, and it cannot be changed later",
        )


def _check_addresses(first: Claim, second: Claim, findings: Findings) -> None:
    taken = _addresses(first)
    for address, (what, field) in _addresses(second).items():
        if address in taken:
            findings.add(
                second.inventory.path,
                field,
                address,
                rule="address-clash",
                message=f"it is the address of both {taken[address][0]} and {what}",
                fix="give each an address of its own",
            )
    names = {node.node.hostname for node in first.inventory.nodes}
    for node in second.inventory.nodes:
        if node.node.hostname in names:
            findings.add(
                second.inventory.path,
                f"{node.field}.hostname",
                node.node.hostname,
                rule="hostname-clash",
                message=f"{first.inventory.name} has a node of that name",
                fix="begin the names of all nodes with the name of their cluster",
            )


def _addresses(claim: Claim) -> dict[str, tuple[str, str]]:
    addresses = {
        str(node.node.address): (node.node.hostname, f"{node.field}.ipAddress")
        for node in claim.inventory.nodes
    }
    if claim.network is not None:
        addresses[str(claim.network.vip)] = (f"the VIP of {claim.inventory.name}", "endpoint")
    return addresses


def _check_networks(first: Claim, second: Claim, findings: Findings) -> None:
    for first_what, _, taken in first.networks:
        for what, field, network in second.networks:
            # Two clusters may share a node network; their addresses on it are compared one by one.
            if network.overlaps(taken) and (what, first_what) != ("node network", "node network"):
                findings.add(
                    second.inventory.path,
                    field,
                    network,
                    rule="network-clash",
                    message=f"the {what} of {second.inventory.name} overlaps the {first_what} {taken} of {first.inventory.name}",
                    fix="use networks that share no address: pods could not reach the other cluster",
                )
