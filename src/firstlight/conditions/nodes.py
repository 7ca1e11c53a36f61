"""Conditions of the Kubernetes API and of the nodes."""

from __future__ import annotations

import socket

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.definition.model import Cluster
from firstlight.printable import names_text
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import NODES, Object, condition_of, name_of
from firstlight.tools.watch import ListWatch

NO_CNI = "cni plugin not initialized"
"""The kubelet's words for a node that waits for its CNI."""


CORDONED = "FL-252"
"""The row of the failure catalogue for a cordoned node."""

CORDONED_BY_TALOS = "talos.dev/cordoned"
"""Talos's annotation on a node that it cordoned itself, and uncordons after its reboot."""


def kubernetes_api_answers(kubernetes: Kubernetes, cluster: Cluster) -> Condition[str]:
    """Wait until the Kubernetes API answers through the kubeconfig, at the cluster endpoint."""

    def probe() -> Observation[str]:
        answer = kubernetes.ready()
        return (
            holds(f"{cluster.endpoint} says {answer}", answer)
            if answer == "ok"
            else not_yet(f"{cluster.endpoint} says {answer[:80]}")
        )

    return Condition(f"the Kubernetes API to answer at {cluster.endpoint}", probe)


def vip_accepts_connections(cluster: Cluster, port: int) -> Condition[str]:
    """Wait until the VIP accepts a connection on a port."""

    def probe() -> Observation[str]:
        try:
            with socket.create_connection((str(cluster.vip), port), timeout=3.0):
                return holds(f"{cluster.vip}:{port} accepts connections", f"{cluster.vip}:{port}")
        except OSError as error:
            return not_yet(f"{cluster.vip}:{port}: {error.strerror or error}")

    return Condition(
        f"the VIP {cluster.vip} to accept connections on port {port}", probe, row="FL-016"
    )


def every_node_registered(kubernetes: Kubernetes, cluster: Cluster) -> Condition[frozenset[str]]:
    """Wait until exactly the nodes of the definition are registered, under their own names."""
    view = ListWatch(kubernetes, NODES)

    def probe() -> Observation[frozenset[str]]:
        seen = frozenset(name_of(node) for node in view.items())
        missing, strangers = sorted(cluster.node_names - seen), sorted(seen - cluster.node_names)
        if missing:
            return not_yet(
                f"{len(seen)} of {len(cluster.nodes)} registered; missing {names_text(missing)}",
                rows=("FL-254",),
            )
        if strangers:
            return not_yet(f"unknown nodes registered: {names_text(strangers)}", rows=("FL-213",))
        return holds(f"{len(seen)} registered: {names_text(seen)}", seen)

    return Condition("every node to register under its own name", probe, view.changed)


def every_node_ready(kubernetes: Kubernetes, cluster: Cluster) -> Condition[frozenset[str]]:
    """Wait until exactly the nodes of the definition are Ready, and none of them is cordoned.

    They are compared by name, so a missing node is never overlooked.
    """
    view = ListWatch(kubernetes, NODES)

    def probe() -> Observation[frozenset[str]]:
        nodes = view.items()
        reasons = {name_of(node): _unready(node) for node in nodes}
        ready = frozenset(name for name, reason in reasons.items() if not reason)
        waiting = sorted(cluster.node_names - ready)
        if waiting:
            reason = reasons.get(waiting[0], "not registered")
            seen = f"{len(ready)} of {len(cluster.nodes)} Ready; {waiting[0]}: {reason}"
            no_cni = NO_CNI in reason and not ready
            return not_yet(seen, rows=("FL-021",) if no_cni else ("FL-027",) if ready else ())
        unknown = ready - cluster.node_names
        if unknown:
            return not_yet(f"unknown nodes are Ready: {names_text(unknown)}")
        cordoned = [node for node in nodes if (node.get("spec") or {}).get("unschedulable")]
        if cordoned:
            return _cordoned(cordoned)
        return holds(f"all {len(ready)} nodes Ready", ready)

    return Condition("every node to be Ready", probe, view.changed)


def _cordoned(nodes: list[Object]) -> Observation[frozenset[str]]:
    """Return which nodes take no new pods; only those that Talos cordoned recover by themselves."""
    by_hand = [
        node
        for node in nodes
        if CORDONED_BY_TALOS not in (node["metadata"].get("annotations") or {})
    ]
    names = sorted(name_of(node) for node in by_hand or nodes)
    verdict, who = (never, "cordoned") if by_hand else (not_yet, "cordoned by Talos")
    return verdict(
        f"{who}, so no new pod runs there: kubectl uncordon {' '.join(names)}", rows=(CORDONED,)
    )


def _unready(node: Object) -> str:
    """Return why a node is not Ready, empty when it is."""
    ready = condition_of(node, "Ready")
    if ready.get("status") == "True":
        return ""
    return str(ready.get("message") or ready.get("reason") or "no reason given")[:160]
