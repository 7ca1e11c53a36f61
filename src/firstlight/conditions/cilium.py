"""Conditions of Cilium, from its own CLI, from the running agents and from Hubble Relay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.definition.model import Cluster
from firstlight.printable import names_text
from firstlight.process import CommandResult
from firstlight.tools.cilium import (
    NAMESPACE,
    AgentConfig,
    Cilium,
    parse_agent_config,
    parse_agent_status,
)
from firstlight.tools.concurrency import concurrently
from firstlight.tools.hubble import PORT, ask_relay
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import PODS, is_ready, name_of

AGENTS = "k8s-app=cilium"

REPLACING = ("true", "strict")
"""What an agent reports when it replaces kube-proxy; versions before 1.14 report `strict`."""


def cilium_status_ok(cilium: Cilium) -> Condition[str]:
    """Wait until `cilium status` reports agents, operator and relay as OK."""

    def probe() -> Observation[str]:
        result = cilium.status()
        return holds("every component is OK", "OK") if result.ok else not_yet(result.last_line)

    return Condition("cilium status to be OK", probe)


def every_agent_identifies_the_cluster(
    cilium: Cilium, kubernetes: Kubernetes, cluster: Cluster
) -> Condition[Mapping[str, tuple[str, str]]]:
    """Wait until every node's agent runs with the cluster's id and name; the value is both."""

    def judge(config: AgentConfig) -> str:
        if (config.cluster_id, config.cluster_name) == (str(cluster.id), cluster.name):
            return ""
        return (
            f"runs with cluster id {config.cluster_id} and name {config.cluster_name}, "
            f"not {cluster.id} and {cluster.name}"
        )

    def probe() -> Observation[Mapping[str, tuple[str, str]]]:
        configs, trouble = _configs(cilium, kubernetes, cluster)
        if trouble:
            return not_yet(trouble)
        wrong = [
            f"the agent of {node} {judge(config)}"
            for node, config in sorted(configs.items())
            if judge(config)
        ]
        if wrong:
            return never(wrong[0])
        found = {node: (config.cluster_id, config.cluster_name) for node, config in configs.items()}
        return holds(
            f"{len(found)} agents run with cluster id {cluster.id} and name {cluster.name}", found
        )

    return Condition("every agent to run with the cluster's id and name", probe)


def datapath_operational(
    cilium: Cilium, kubernetes: Kubernetes, cluster: Cluster
) -> Condition[Mapping[str, str]]:
    """Wait until every node's agent is Ok and replaces kube-proxy by eBPF.

    The value is what each agent reports about kube-proxy replacement.
    """

    def probe() -> Observation[Mapping[str, str]]:
        pods, trouble = _agents(kubernetes, cluster)
        if trouble:
            return not_yet(trouble)
        found: dict[str, str] = {}
        for node, result in _asked(pods, cilium.agent_status):
            if not result.ok:
                return not_yet(f"the agent of {node}: {result.last_line}")
            status = parse_agent_status(result.stdout)
            if status.state != "Ok":
                return not_yet(f"the agent of {node} is {status.state}")
            if status.replacement.lower() not in REPLACING:
                return never(
                    f"the agent of {node} reports kube-proxy replacement: {status.replacement}"
                )
            found[node] = status.replacement
        return holds(f"{len(found)} agents are Ok and replace kube-proxy", found)

    return Condition("the eBPF datapath to be operational", probe)


def bgp_control_plane_enabled(
    cilium: Cilium, kubernetes: Kubernetes, cluster: Cluster
) -> Condition[int]:
    """Wait until every node's agent runs with the BGP control plane; the value counts them."""

    def probe() -> Observation[int]:
        configs, trouble = _configs(cilium, kubernetes, cluster)
        if trouble:
            return not_yet(trouble)
        without = sorted(node for node, config in configs.items() if not config.bgp)
        if without:
            return never(f"the agent of {names_text(without)} runs without the BGP control plane")
        return holds(f"{len(configs)} agents run with the BGP control plane", len(configs))

    return Condition("the BGP control plane to be enabled", probe)


def hubble_relay_answers(kubernetes: Kubernetes, cluster: Cluster) -> Condition[int]:
    """Wait until Hubble Relay answers and is connected to every node; the value counts the nodes.

    It is queried through the API server, so no image is needed.
    """

    def probe() -> Observation[int]:
        pods, _ = kubernetes.list(PODS, namespace=NAMESPACE, labels="k8s-app=hubble-relay")
        ready = [pod for pod in pods if is_ready(pod)]
        if not ready:
            return not_yet("no pod of Hubble Relay is ready")
        with kubernetes.port_forward(NAMESPACE, name_of(ready[0]), PORT) as connection:
            relay = ask_relay(connection)
        seen = (
            f"Hubble Relay is connected to {relay.connected} of {len(cluster.nodes)} nodes, "
            f"{relay.flows} flows"
        )
        return (
            holds(seen, relay.connected)
            if relay.connected == len(cluster.nodes) and not relay.unavailable
            else not_yet(seen)
        )

    return Condition("Hubble Relay to answer", probe)


def _configs(
    cilium: Cilium, kubernetes: Kubernetes, cluster: Cluster
) -> tuple[dict[str, AgentConfig], str]:
    """Return the configuration of each node's agent, or why it is not known."""
    pods, trouble = _agents(kubernetes, cluster)
    found: dict[str, AgentConfig] = {}
    for node, result in _asked(pods, cilium.agent_config) if not trouble else ():
        if not result.ok:
            return {}, f"the agent of {node}: {result.last_line}"
        found[node] = parse_agent_config(result.stdout)
    return found, trouble


def _asked(
    pods: Mapping[str, str], question: Callable[[str], CommandResult]
) -> Iterable[tuple[str, CommandResult]]:
    """Return the answer of every node's agent, in alphabetical order of the nodes."""
    nodes = sorted(pods)
    return zip(nodes, concurrently(partial(question, pods[node]) for node in nodes), strict=True)


def _agents(kubernetes: Kubernetes, cluster: Cluster) -> tuple[dict[str, str], str]:
    """Return the name of each node's agent pod, or which nodes lack one or are unknown."""
    pods, _ = kubernetes.list(PODS, namespace=NAMESPACE, labels=AGENTS)
    found = {str(pod["spec"]["nodeName"]): name_of(pod) for pod in pods if is_ready(pod)}
    missing = sorted(cluster.node_names - found.keys())
    if missing:
        return found, f"no agent is ready on {names_text(missing)}"
    unknown = found.keys() - cluster.node_names
    return found, f"agents run on unknown nodes: {names_text(unknown)}" if unknown else ""
