"""Check that no two clusters share a name, a cluster.id, an address, a hostname or a network."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from firstlight.definition.network import networks_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Network
    from pathlib import Path

    from firstlight.definition.findings import Findings
    from firstlight.definition.network import Network
    from firstlight.definition.talconfig import Inventory


@dataclass(frozen=True, slots=True)
class Claim:
    """What one cluster must have for itself.

    Attributes:
        inventory: Its nodes and networks.
        network: Its node network and VIP, if known.
        cluster_id: Its Cilium cluster.id, 0 if unknown.
        cilium_path: The file that sets the cluster.id.
    """

    inventory: Inventory
    network: Network | None
    cluster_id: int
    cilium_path: Path

    @property
    def networks(self) -> Iterator[tuple[str, str, IPv4Network]]:
        """The cluster's networks, each with its description and field."""
        return networks_of(self.inventory, self.network.nodes if self.network else None)


def check_cross_cluster(claims: list[Claim], findings: Findings) -> None:
    """Add a problem for everything that two clusters claim."""
    for first, second in combinations(claims, 2):
        _check_identity(first, second, findings)
        _check_addresses(first, second, findings)
        _check_hostnames(first, second, findings)
        _check_networks(first, second, findings)


def _check_identity(first: Claim, second: Claim, findings: Findings) -> None:
    if first.inventory.name == second.inventory.name:
        findings.add(
            second.inventory.path,
            "clusterName",
            second.inventory.name,
            rule="cluster-name-clash",
            message=f"{first.inventory.path} has the same name",
            fix="give each cluster its own name: kubeconfig, context and Cilium use it",
        )
    if first.cluster_id and first.cluster_id == second.cluster_id:
        findings.add(
            second.cilium_path,
            "spec.values.cluster.id",
            second.cluster_id,
            rule="cluster-id-clash",
            message=f"{first.inventory.name} and {second.inventory.name} have the same cluster.id",
            fix="give each cluster its own id: Cluster Mesh identifies clusters by it, and it "
            "cannot be changed later",
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
                message=f"{taken[address][0]} and {what} have the same address",
                fix="give each its own address",
            )


def _addresses(claim: Claim) -> dict[str, tuple[str, str]]:
    addresses = {
        str(node.node.address): (node.node.hostname, f"{node.field}.ipAddress")
        for node in claim.inventory.nodes
    }
    if claim.network is not None:
        addresses[str(claim.network.vip)] = (f"the VIP of {claim.inventory.name}", "endpoint")
    return addresses


def _check_hostnames(first: Claim, second: Claim, findings: Findings) -> None:
    taken = {node.node.hostname for node in first.inventory.nodes}
    for node in second.inventory.nodes:
        if node.node.hostname in taken:
            findings.add(
                second.inventory.path,
                f"{node.field}.hostname",
                node.node.hostname,
                rule="hostname-clash",
                message=f"{first.inventory.name} has a node with the same hostname",
                fix="start each hostname with the name of its cluster",
            )


def _check_networks(first: Claim, second: Claim, findings: Findings) -> None:
    for first_what, _, taken in first.networks:
        for what, field, network in second.networks:
            # Two clusters may share a node network; their addresses on it are compared above.
            if network.overlaps(taken) and (what, first_what) != ("node network", "node network"):
                findings.add(
                    second.inventory.path,
                    field,
                    network,
                    rule="network-clash",
                    message=f"the {what} of {second.inventory.name} overlaps the {first_what} "
                    f"{taken} of {first.inventory.name}",
                    fix="use networks that do not overlap: otherwise pods cannot reach the other "
                    "cluster",
                )
