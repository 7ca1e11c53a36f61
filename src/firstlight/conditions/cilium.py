"""Conditions of Cilium's datapath, judged by Cilium's own tools and by the agents as they run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.conditions.naming import several
from firstlight.definition.model import Cluster
from firstlight.tools.cilium import (
    NAMESPACE,
    AgentConfig,
    Cilium,
    parse_agent_config,
    parse_agent_status,
)
from firstlight.tools.hubble import PORT, ask_relay
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import PODS, is_ready, name_of
from firstlight.tools.process import CommandResult
from firstlight.tools.together import together

AGENTS = "k8s-app=cilium"

REPLACING = ("true", "strict")
"""What an agent says when it does all of kube-proxy's work: the second word is that of versions before 1.14."""


def status_ok(cilium: Cilium) -> Condition[str]:
    """Say when `cilium status` finds agents, operator and relay well."""

    def probe() -> Observation[str]:
        result = cilium.status()
        return holds("every component is OK", "OK") if result.ok else not_yet(result.said)

    return Condition("cilium status to be well", probe)


def agents_identify(
    cilium: Cilium, kubernetes: Kubernetes, cluster: Cluster
) -> Condition[Mapping[str, tuple[str, str]]]:
    """Say when the agent of every node runs with the cluster's id and name; its value is what each node's agent said."""

    def judge(config: AgentConfig) -> str:
        if (config.cluster_id, config.cluster_name) == (str(cluster.id), cluster.name):
            return ""
        return f"runs with cluster id {config.cluster_id} and name {config.cluster_name}, not {cluster.id} and {cluster.name}"

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
    """Say when the agent of every node is well and its eBPF programs do kube-proxy's work; its value is each agent's own word for that."""

    def probe() -> Observation[Mapping[str, str]]:
        pods, trouble = _agents(kubernetes, cluster)
        if trouble:
            return not_yet(trouble)
        found: dict[str, str] = {}
        for node, result in _asked(pods, cilium.agent_status):
            if not result.ok:
                return not_yet(f"the agent of {node}: {result.said}")
            status = parse_agent_status(result.stdout)
            if status.state != "Ok":
                return not_yet(f"the agent of {node} is {status.state}")
            if status.replacement.lower() not in REPLACING:
                return never(
                    f"the agent of {node} says kube-proxy replacement: {status.replacement}"
                )
            found[node] = status.replacement
        return holds(f"{len(found)} agents are Ok and replace kube-proxy", found)

    return Condition("the eBPF datapath to be operational", probe)


def bgp_enabled(cilium: Cilium, kubernetes: Kubernetes, cluster: Cluster) -> Condition[int]:
    """Say when the agent of every node runs with the BGP control plane; its value is how many."""

    def probe() -> Observation[int]:
        configs, trouble = _configs(cilium, kubernetes, cluster)
        if trouble:
            return not_yet(trouble)
        without = sorted(node for node, config in configs.items() if not config.bgp)
        if without:
            return never(f"the agent of {several(without)} runs without the BGP control plane")
        return holds(f"{len(configs)} agents run with the BGP control plane", len(configs))

    return Condition("the BGP control plane to be enabled", probe)


def hubble_relay_answers(kubernetes: Kubernetes, cluster: Cluster) -> Condition[int]:
    """Say when Hubble Relay answers a question, and hears every node; its value is how many. It is asked through the API server, without any image."""

    def probe() -> Observation[int]:
        pods, _ = kubernetes.list(PODS, namespace=NAMESPACE, labels="k8s-app=hubble-relay")
        ready = [pod for pod in pods if is_ready(pod)]
        if not ready:
            return not_yet("no pod of Hubble Relay is ready")
        with kubernetes.port_forward(NAMESPACE, name_of(ready[0]), PORT) as connection:
            relay = ask_relay(connection)
        seen = f"Hubble Relay hears {relay.connected} of {len(cluster.nodes)} nodes, {relay.flows} flows"
        return (
            holds(seen, relay.connected)
            if relay.connected == len(cluster.nodes) and not relay.unavailable
            else not_yet(seen)
        )

    return Condition("Hubble Relay to answer", probe)


def _configs(
    cilium: Cilium, kubernetes: Kubernetes, cluster: Cluster
) -> tuple[dict[str, AgentConfig], str]:
    """Return what the agent of each node runs with, or what is in the way of asking it."""
    pods, trouble = _agents(kubernetes, cluster)
    found: dict[str, AgentConfig] = {}
    for node, result in _asked(pods, cilium.agent_config) if not trouble else ():
        if not result.ok:
            return {}, f"the agent of {node}: {result.said}"
        found[node] = parse_agent_config(result.stdout)
    return found, trouble


def _asked(
    pods: Mapping[str, str], question: Callable[[str], CommandResult]
) -> Iterable[tuple[str, CommandResult]]:
    """Ask the agent of every node, and return what each said, in the order of the nodes."""
    nodes = sorted(pods)
    return zip(nodes, together(partial(question, pods[node]) for node in nodes), strict=True)


def _agents(kubernetes: Kubernetes, cluster: Cluster) -> tuple[dict[str, str], str]:
    """Return the name of each node's agent pod, or which nodes have none that is ready."""
    pods, _ = kubernetes.list(PODS, namespace=NAMESPACE, labels=AGENTS)
    found = {str(pod["spec"]["nodeName"]): name_of(pod) for pod in pods if is_ready(pod)}
    missing = sorted(cluster.node_names - found.keys())
    return found, f"no agent is ready on {several(missing)}" if missing else ""
