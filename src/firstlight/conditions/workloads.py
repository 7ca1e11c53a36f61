"""Conditions of what runs in Kubernetes: CRDs, workloads, pods, and what their ConfigMaps say."""

from __future__ import annotations

from collections.abc import Mapping

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.conditions.naming import several
from firstlight.conditions.unready import Workload, owned_by, pod_text, why_not
from firstlight.definition.model import Cluster
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import (
    CONFIG_MAPS,
    CRDS,
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    condition_of,
    counts,
    is_ready,
    is_well,
    name_of,
)
from firstlight.tools.view import View


def daemon_set(namespace: str, name: str) -> Workload:
    """Name a DaemonSet."""
    return Workload(DAEMON_SETS, namespace, name)


def deployment(namespace: str, name: str) -> Workload:
    """Name a Deployment."""
    return Workload(DEPLOYMENTS, namespace, name)


def crd_established(kubernetes: Kubernetes, name: str) -> Condition[str]:
    """Say when a CRD is established: the API server serves its kind."""
    view = View(kubernetes, CRDS)

    def probe() -> Observation[str]:
        crd = view.named(name)
        if crd is None:
            return not_yet(f"{name} does not exist")
        for type_ in ("NamesAccepted", "Established"):
            condition = condition_of(crd, type_)
            if condition.get("status") != "True":
                return not_yet(
                    f"{name} {type_}={condition.get('status', 'unset')}: {condition.get('message', 'no message')}"
                )
        return holds(f"{name} is established", name)

    return Condition(f"CRD {name} to be established", probe, view.changed)


def workload_runs(kubernetes: Kubernetes, workload: Workload) -> Condition[int]:
    """Say when a workload has rolled out and every pod it wants is ready; its value is how many."""
    view = View(kubernetes, workload.kind, namespace=workload.namespace)

    def probe() -> Observation[int]:
        item = view.named(workload.name)
        if item is None:
            return not_yet(f"{workload.namespace}/{workload.name} does not exist")
        wanted, ready, current = counts(item)
        seen = f"{workload.name}: {ready} of {wanted} ready"
        if current and wanted > 0 and ready >= wanted:
            return holds(seen, ready)
        return why_not(kubernetes, item, workload, seen)

    return Condition(
        f"{workload.kind.plural[:-1]} {workload.namespace}/{workload.name} to run",
        probe,
        view.changed,
    )


def runs_on_every_node(
    kubernetes: Kubernetes, cluster: Cluster, workload: Workload
) -> Condition[frozenset[str]]:
    """Say when a DaemonSet has a ready pod on every node of the definition."""
    view = View(kubernetes, PODS, namespace=workload.namespace)

    def probe() -> Observation[frozenset[str]]:
        item = kubernetes.get(workload.kind, workload.namespace, workload.name)
        if item is None:
            return not_yet(f"{workload.namespace}/{workload.name} does not exist")
        pods = [pod for pod in view.items() if owned_by(pod, workload.name)]
        nodes = frozenset(str(pod["spec"].get("nodeName", "")) for pod in pods if is_ready(pod))
        missing = sorted(cluster.node_names - nodes)
        if missing:
            return not_yet(f"{workload.name} is not ready on {several(missing)}")
        return holds(f"{workload.name} is ready on all {len(nodes)} nodes", nodes)

    return Condition(f"{workload.name} to run on every node", probe, view.changed)


def no_pod_fails(kubernetes: Kubernetes) -> Condition[int]:
    """Say when every pod of the cluster is ready, or has succeeded; its value is how many there are."""
    view = View(kubernetes, PODS)

    def probe() -> Observation[int]:
        pods = view.items()
        failing = sorted(
            f"{pod['metadata']['namespace']}/{name_of(pod)}: {pod_text(pod)}"
            for pod in pods
            if not is_well(pod)
        )
        if not pods:
            return not_yet("there is no pod at all")
        if failing:
            return not_yet(f"{len(failing)} of {len(pods)} pods not well; {failing[0]}")
        return holds(f"{len(pods)} pods, none failing", len(pods))

    return Condition("no pod to fail", probe, view.changed)


def no_pod_named(kubernetes: Kubernetes, namespace: str, prefix: str) -> Condition[str]:
    """Say when no pod and no DaemonSet of that name exists."""

    def probe() -> Observation[str]:
        pods, _ = kubernetes.list(PODS, namespace=namespace)
        sets, _ = kubernetes.list(DAEMON_SETS, namespace=namespace)
        found = sorted(name_of(item) for item in (*pods, *sets) if name_of(item).startswith(prefix))
        return (
            never(f"{', '.join(found)} exists in {namespace}")
            if found
            else holds(f"no {prefix} in {namespace}", prefix)
        )

    return Condition(f"no {prefix} to exist", probe)


def config_map_says(
    kubernetes: Kubernetes, namespace: str, name: str, expected: Mapping[str, str]
) -> Condition[Mapping[str, str]]:
    """Say when a ConfigMap holds these values; its value is what it holds under those keys."""
    view = View(kubernetes, CONFIG_MAPS, namespace=namespace)

    def probe() -> Observation[Mapping[str, str]]:
        item = view.named(name)
        if item is None:
            return not_yet(f"{namespace}/{name} does not exist")
        data = item.get("data") or {}
        found = {key: str(data.get(key, "")) for key in expected}
        wrong = [
            f"{key} is {found[key] or 'unset'}, not {value}"
            for key, value in expected.items()
            if found[key] != value
        ]
        if wrong:
            return never(f"{name}: {'; '.join(wrong)}")
        return holds(", ".join(f"{key}={value}" for key, value in found.items()), found)

    return Condition(f"{name} to say {', '.join(expected)}", probe, view.changed)
