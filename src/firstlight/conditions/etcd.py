"""Conditions of etcd: there is one cluster of it at most, it is this definition's, and every control plane node is a member.

The rule that keeps a cluster from being made twice rests on what is asked here: what cannot be told is never taken for "none".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.conditions.naming import several
from firstlight.conditions.talos import service_text
from firstlight.definition.model import Cluster, Node
from firstlight.errors import FirstlightError
from firstlight.tools.talosctl import Service, Talosctl

ETCD_WAITS = ("Initialized", "Waiting", "Preparing")
"""States of Talos's etcd service before it has a cluster: until it is bootstrapped, or can join one, it stays in `Preparing`."""


class EtcdUnknown(FirstlightError):
    """Whether a machine has an etcd member cannot be told now; it must not be taken for none."""

    retryable = True


@dataclass(frozen=True, slots=True)
class EtcdMembership:
    """What etcd's members are, and which node said so."""

    members: frozenset[str]
    said_by: str


def no_foreign_etcd(talosctl: Talosctl, cluster: Cluster) -> Condition[EtcdMembership]:
    """Say whether at most one etcd cluster exists and all its members are ours; asked of every control plane node."""

    def probe() -> Observation[EtcdMembership]:
        claims = etcd_claims(talosctl, cluster)
        if not claims:
            return holds("no etcd cluster exists yet", EtcdMembership(frozenset(), ""))
        wrong = etcd_problem(claims, cluster)
        if wrong:
            return never(wrong)
        largest = max(claims.values(), key=len)
        return holds(
            f"one etcd cluster: {several(largest)}",
            EtcdMembership(largest, next(n for n, m in claims.items() if m == largest)),
        )

    return Condition("a single etcd cluster at most", probe)


def etcd_bootstrapped_on(talosctl: Talosctl, cluster: Cluster) -> Condition[EtcdMembership]:
    """Say when the node that was bootstrapped lists itself as a member of etcd."""
    first = cluster.first_control_plane

    def probe() -> Observation[EtcdMembership]:
        members = etcd_claim(talosctl, first) or frozenset()
        if first.hostname in members:
            return holds(
                f"{first.hostname} lists {several(members)}",
                EtcdMembership(members, first.hostname),
            )
        return not_yet(f"{first.hostname} lists no etcd member yet")

    return Condition(f"{first.hostname} to be an etcd member", probe)


def etcd_runs(talosctl: Talosctl, cluster: Cluster) -> Condition[EtcdMembership]:
    """Say when every control plane node is an etcd member and every one of them says so."""

    def probe() -> Observation[EtcdMembership]:
        claims = etcd_claims(talosctl, cluster)
        if not claims:
            return not_yet("no control plane node lists any etcd member")
        wrong = etcd_problem(claims, cluster)
        if wrong:
            return never(wrong)
        behind = cluster.control_plane_names - {
            node for node, members in claims.items() if members == cluster.control_plane_names
        }
        if behind:
            largest = max(claims.values(), key=len)
            seen = f"{len(largest)} of {len(cluster.control_plane)} members ({several(largest)}); {several(behind)} not in agreement"
            return not_yet(seen + _why_behind(talosctl, cluster, behind))
        unwell = [
            service
            for node in cluster.control_plane
            for service in talosctl.services(str(node.address))
            if service.name == "etcd" and (service.state, service.health) != ("Running", "OK")
        ]
        if unwell:
            return not_yet(service_text(cluster, unwell[0]))
        return holds(
            f"members {several(cluster.control_plane_names)}, all healthy",
            EtcdMembership(cluster.control_plane_names, "all"),
        )

    return Condition("etcd members to be the control plane nodes", probe)


def _why_behind(talosctl: Talosctl, cluster: Cluster, behind: frozenset[str]) -> str:
    """Return what etcd says on the first node that is behind because its own does not run; empty when all of them run, or one does not say."""
    for node in cluster.control_plane:
        if node.hostname in behind:
            try:
                etcd = _etcd_of(talosctl, node)
            except FirstlightError:
                # That it is behind is known, and worth more; the next look says what is wrong with it.
                return ""
            if etcd is not None and etcd.state != "Running":
                return f"; {service_text(cluster, etcd)}"
    return ""


def _etcd_of(talosctl: Talosctl, node: Node) -> Service | None:
    """Return a node's etcd service, none when the node has not started its services yet."""
    return next(
        (service for service in talosctl.services(str(node.address)) if service.name == "etcd"),
        None,
    )


def etcd_claims(talosctl: Talosctl, cluster: Cluster) -> dict[str, frozenset[str]]:
    """Ask every control plane node which etcd members it knows; a node whose etcd was never started claims nothing.

    Raises:
        FirstlightError: Nothing is known of one of the nodes: it may hold a cluster of its own.
    """
    claims = {node.hostname: etcd_claim(talosctl, node) for node in cluster.control_plane}
    return {hostname: members for hostname, members in claims.items() if members is not None}


def etcd_claim(talosctl: Talosctl, node: Node) -> frozenset[str] | None:
    """Ask one control plane node which etcd members it knows, by name; none when its etcd waits for a cluster to join, or to be made.

    One that has given up waiting has none either: machines that were configured half an hour ago can still be bootstrapped.

    An etcd that runs and does not answer, as without a quorum, is a cluster all the same. So is perhaps one that is neither running nor
    waiting: what it is will be seen in a moment.

    Raises:
        FirstlightError: It cannot be told; a retryable one, if it may be told later.
    """
    etcd = _etcd_of(talosctl, node)
    if etcd is None:
        raise EtcdUnknown(
            f"cannot tell whether {node.hostname} has an etcd member: the machine has not started its services yet"
        )
    if etcd.state in ETCD_WAITS or etcd.found_no_etcd_to_join:
        # `etcd members` only fails there, slowly; the service's own state is the plain answer.
        return None
    if etcd.state != "Running":
        raise EtcdUnknown(
            f"cannot tell whether {node.hostname} has an etcd member: its etcd is {etcd.state}: {etcd.last or 'no reason given'}"
        )
    # A member that has been added and has not started yet has no name.
    return frozenset(
        member.hostname for member in talosctl.etcd_members(str(node.address)) if member.hostname
    )


def etcd_problem(claims: Mapping[str, frozenset[str]], cluster: Cluster) -> str:
    """Return why the etcd that some nodes claim is not this cluster's own and only one, empty when it is."""
    strangers = frozenset().union(*claims.values()) - cluster.control_plane_names
    if strangers:
        return f"etcd has members that the definition does not know: {several(strangers)}"
    # A node that joins knows fewer members, but never other ones.
    if any(
        not (first & second)
        for first in claims.values()
        for second in claims.values()
        if first and second
    ):
        told = "; ".join(
            f"{node} says {several(members)}" for node, members in sorted(claims.items())
        )
        return f"more than one etcd cluster claims these machines: {told}"
    return ""
