"""Conditions of Kubernetes nodes and of the API server in front of them."""

from __future__ import annotations

import socket

from firstlight.conditions.condition import Condition, Observation, holds, not_yet
from firstlight.conditions.naming import several
from firstlight.definition.model import Cluster
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import NODES, Object, condition_of, name_of
from firstlight.tools.view import View


def api_answers(kubernetes: Kubernetes, cluster: Cluster) -> Condition[str]:
    """Say when the Kubernetes API answers through the kubeconfig, which points at the cluster endpoint."""

    def probe() -> Observation[str]:
        answer = kubernetes.ready()
        return (
            holds(f"{cluster.endpoint} says {answer}", answer)
            if answer == "ok"
            else not_yet(f"{cluster.endpoint} says {answer[:80]}")
        )

    return Condition(f"the Kubernetes API to answer at {cluster.endpoint}", probe)


def vip_accepts(cluster: Cluster, port: int) -> Condition[str]:
    """Say when the VIP takes a connection on a port."""

    def probe() -> Observation[str]:
        try:
            with socket.create_connection((str(cluster.vip), port), timeout=3.0):
                return holds(f"{cluster.vip}:{port} accepts connections", f"{cluster.vip}:{port}")
        except OSError as error:
            return not_yet(f"{cluster.vip}:{port}: {error.strerror or error}")

    return Condition(f"the VIP {cluster.vip} to accept connections on port {port}", probe)


def nodes_registered(kubernetes: Kubernetes, cluster: Cluster) -> Condition[frozenset[str]]:
    """Say when every node of the definition is registered under its own name, and no other."""
    view = View(kubernetes, NODES)

    def probe() -> Observation[frozenset[str]]:
        seen = frozenset(name_of(node) for node in view.items())
        missing, strangers = sorted(cluster.node_names - seen), sorted(seen - cluster.node_names)
        if missing:
            return not_yet(
                f"{len(seen)} of {len(cluster.nodes)} registered; missing {several(missing)}"
            )
        if strangers:
            return not_yet(f"unknown nodes registered: {several(strangers)}")
        return holds(f"{len(seen)} registered: {several(seen)}", seen)

    return Condition("every node to register under its own name", probe, view.changed)


def nodes_ready(kubernetes: Kubernetes, cluster: Cluster) -> Condition[frozenset[str]]:
    """Say when every node of the definition is Ready; counted by name, so that a missing node is never overlooked."""
    view = View(kubernetes, NODES)

    def probe() -> Observation[frozenset[str]]:
        reasons = {name_of(node): _unready(node) for node in view.items()}
        ready = frozenset(name for name, reason in reasons.items() if not reason)
        waiting = sorted(cluster.node_names - ready)
        if waiting:
            return not_yet(
                f"{len(ready)} of {len(cluster.nodes)} Ready; {waiting[0]}: {reasons.get(waiting[0], 'not registered')}"
            )
        return holds(f"all {len(ready)} nodes Ready", ready)

    return Condition("every node to be Ready", probe, view.changed)


def _unready(node: Object) -> str:
    """Return why a node is not Ready, empty when it is."""
    ready = condition_of(node, "Ready")
    if ready.get("status") == "True":
        return ""
    return str(ready.get("message") or ready.get("reason") or "says nothing")[:160]
