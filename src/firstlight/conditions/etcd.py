"""Conditions of etcd: one cluster, this definition's, with all control plane nodes as members."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.conditions.talos import service_rows, service_text
from firstlight.definition.model import Cluster
from firstlight.errors import FirstlightError
from firstlight.printable import names_text
from firstlight.tools.concurrency import concurrently
from firstlight.tools.etcd import etcd_claim, etcd_claims, etcd_problem, etcd_service
from firstlight.tools.talosctl import Service, Talosctl


@dataclass(frozen=True, slots=True)
class EtcdMembership:
    """The members of etcd, and the node that reported them."""

    members: frozenset[str]
    said_by: str


def no_foreign_etcd(talosctl: Talosctl, cluster: Cluster) -> Condition[EtcdMembership]:
    """Check on every control plane node that there is at most one etcd cluster, and it is ours."""

    def probe() -> Observation[EtcdMembership]:
        claims = etcd_claims(talosctl, cluster)
        if not claims:
            return holds("no etcd cluster exists yet", EtcdMembership(frozenset(), ""))
        wrong = etcd_problem(claims, cluster)
        if wrong:
            return never(wrong.seen, rows=(wrong.row,))
        largest = max(claims.values(), key=len)
        return holds(
            f"one etcd cluster: {names_text(largest)}",
            EtcdMembership(largest, next(n for n, m in claims.items() if m == largest)),
        )

    return Condition("a single etcd cluster at most", probe)


def etcd_is_bootstrapped(talosctl: Talosctl, cluster: Cluster) -> Condition[EtcdMembership]:
    """Wait until the node that was bootstrapped reports itself as an etcd member."""
    first = cluster.first_control_plane

    def probe() -> Observation[EtcdMembership]:
        members = etcd_claim(talosctl, first) or frozenset()
        if first.hostname in members:
            return holds(
                f"{first.hostname} lists {names_text(members)}",
                EtcdMembership(members, first.hostname),
            )
        return not_yet(f"{first.hostname} lists no etcd member yet")

    return Condition(f"{first.hostname} to be an etcd member", probe)


def etcd_runs_on_every_control_plane_node(
    talosctl: Talosctl, cluster: Cluster
) -> Condition[EtcdMembership]:
    """Wait until all control plane nodes are etcd members, and each lists all of them."""

    def probe() -> Observation[EtcdMembership]:
        claims = etcd_claims(talosctl, cluster)
        if not claims:
            return not_yet("no control plane node lists any etcd member")
        wrong = etcd_problem(claims, cluster)
        if wrong:
            return never(wrong.seen, rows=(wrong.row,))
        behind = cluster.control_plane_names - {
            node for node, members in claims.items() if members == cluster.control_plane_names
        }
        if behind:
            largest = max(claims.values(), key=len)
            seen = (
                f"{len(largest)} of {len(cluster.control_plane)} members ({names_text(largest)}); "
                f"{names_text(behind)} not in agreement"
            )
            etcd = _etcd_behind(talosctl, cluster, behind)
            if etcd is None:
                return not_yet(seen, rows=("FL-012",))
            return not_yet(
                f"{seen}; {service_text(cluster, etcd)}", rows=("FL-012", *service_rows(etcd))
            )
        listed = concurrently(
            partial(talosctl.services, str(node.address)) for node in cluster.control_plane
        )
        unwell = [
            service
            for services in listed
            for service in services
            if service.name == "etcd" and (service.state, service.health) != ("Running", "OK")
        ]
        if unwell:
            return not_yet(service_text(cluster, unwell[0]), rows=service_rows(unwell[0]))
        return holds(
            f"members {names_text(cluster.control_plane_names)}, all healthy",
            EtcdMembership(cluster.control_plane_names, "all"),
        )

    return Condition("etcd members to be the control plane nodes", probe)


def _etcd_behind(talosctl: Talosctl, cluster: Cluster, behind: frozenset[str]) -> Service | None:
    """Return the etcd service of the first of these nodes that does not run it, None if unknown."""
    for node in cluster.control_plane:
        if node.hostname in behind:
            try:
                etcd = etcd_service(talosctl, node)
            except FirstlightError:
                # What is known already is worth more; the next attempt shows what is wrong.
                return None
            if etcd is not None and etcd.state != "Running":
                return etcd
    return None
