"""The etcd members that control plane nodes report.

Both the check before a bootstrap and the conditions of etcd rest on this, and with them the rule
that etcd is bootstrapped at most once. An unknown membership never counts as "no members".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from firstlight.definition.model import Cluster, Node
from firstlight.errors import FirstlightError
from firstlight.failures import FailureClass
from firstlight.printable import names_text
from firstlight.tools.concurrency import concurrently
from firstlight.tools.talosctl import Service, Talosctl

ETCD_WAITS = ("Initialized", "Waiting", "Preparing")
"""States of Talos's etcd service before it has a cluster.

It stays in `Preparing` until it is bootstrapped or can join a cluster.
"""


class EtcdUnknown(FirstlightError):
    """It is not known yet whether a machine has an etcd member."""

    failure_class = FailureClass.RETRY


def etcd_claims(talosctl: Talosctl, cluster: Cluster) -> dict[str, frozenset[str]]:
    """Return the etcd members that each control plane node reports, by node.

    A node whose etcd was never started is left out.

    Raises:
        FirstlightError: The membership of a node is unknown: it may hold a cluster of its own.
    """
    nodes = cluster.control_plane
    found = concurrently(partial(etcd_claim, talosctl, node) for node in nodes)
    claims = {node.hostname: members for node, members in zip(nodes, found, strict=True)}
    return {hostname: members for hostname, members in claims.items() if members is not None}


def etcd_claim(talosctl: Talosctl, node: Node) -> frozenset[str] | None:
    """Return the names of the etcd members that a node reports, or None if its etcd has no cluster.

    An etcd that waits to be bootstrapped or to join has no cluster. Neither has one that stopped
    waiting: machines that were configured half an hour ago can still be bootstrapped.

    An etcd that runs but does not answer, as without a quorum, does have a cluster. One that is
    neither running nor waiting may have one; the next attempt tells.

    Raises:
        FirstlightError: The membership is unknown; retryable if it may be known later.
    """
    etcd = etcd_service(talosctl, node)
    if etcd is None:
        raise EtcdUnknown(
            f"cannot tell whether {node.hostname} has an etcd member: "
            "the machine has not started its services yet",
            row="FL-002",
        )
    if etcd.state in ETCD_WAITS or etcd.found_no_etcd_to_join:
        # `etcd members` only fails there, and slowly; the service's state is the clear answer.
        return None
    if etcd.state != "Running":
        raise EtcdUnknown(
            f"cannot tell whether {node.hostname} has an etcd member: "
            f"its etcd is {etcd.state}: {etcd.last or 'no reason given'}"
        )
    # A member that was added but has not started yet has no name.
    return frozenset(
        member.hostname for member in talosctl.etcd_members(str(node.address)) if member.hostname
    )


def etcd_service(talosctl: Talosctl, node: Node) -> Service | None:
    """Return a node's etcd service, or None if the node has not started its services yet."""
    return next(
        (service for service in talosctl.services(str(node.address)) if service.name == "etcd"),
        None,
    )


@dataclass(frozen=True, slots=True)
class EtcdProblem:
    """Why the reported members are not those of this one cluster, and the row that explains it."""

    seen: str
    row: str


def etcd_problem(claims: Mapping[str, frozenset[str]], cluster: Cluster) -> EtcdProblem | None:
    """Return why the reported members are not those of this one cluster, None if they are."""
    strangers = frozenset().union(*claims.values()) - cluster.control_plane_names
    if strangers:
        return EtcdProblem(
            f"etcd has members that the definition does not know: {names_text(strangers)}",
            "FL-224",
        )
    # A joining node reports fewer members, but never different ones.
    if any(
        not (first & second)
        for first in claims.values()
        for second in claims.values()
        if first and second
    ):
        reports = "; ".join(
            f"{node} says {names_text(members)}" for node, members in sorted(claims.items())
        )
        return EtcdProblem(f"more than one etcd cluster claims these machines: {reports}", "FL-015")
    return None
