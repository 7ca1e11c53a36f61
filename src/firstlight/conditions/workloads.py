"""Conditions of what runs in Kubernetes: CRDs, workloads, pods, ConfigMaps and a webhook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.definition.model import Cluster
from firstlight.failures import FailureClass, classify
from firstlight.printable import names_text
from firstlight.tools.crds import crds_of
from firstlight.tools.helm_records import HelmRecords
from firstlight.tools.kubectl import Kubectl
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import (
    CONFIG_MAPS,
    CRDS,
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    Object,
    condition_of,
    counts,
    is_ready,
    is_well,
    name_of,
)
from firstlight.tools.pod_reasons import (
    Workload,
    owned_by,
    why_pod_unready,
    why_workload_unready,
)
from firstlight.tools.watch import ListWatch

ISSUER = """apiVersion: cert-manager.io/v1
kind: Issuer
metadata:
  name: firstlight-webhook-probe
  namespace: cert-manager
spec:
  selfSigned: {}
"""


def daemon_set(namespace: str, name: str) -> Workload:
    """Name a DaemonSet."""
    return Workload(DAEMON_SETS, namespace, name)


def deployment(namespace: str, name: str) -> Workload:
    """Name a Deployment."""
    return Workload(DEPLOYMENTS, namespace, name)


def crd_established(kubernetes: Kubernetes, name: str) -> Condition[str]:
    """Wait until a CRD is established, so that the API server serves its kind."""
    view = ListWatch(kubernetes, CRDS)

    def probe() -> Observation[str]:
        why = _why_unestablished(name, view.named(name))
        return not_yet(why) if why else holds(f"{name} is established", name)

    return Condition(f"CRD {name} to be established", probe, view.changed, row="FL-225")


def every_crd_established(
    kubernetes: Kubernetes, records: HelmRecords, releases: Sequence[tuple[str, str]], *, some: bool
) -> Condition[int]:
    """Wait until every CRD that Helm releases brought is established; the value counts them.

    Args:
        kubernetes: The cluster.
        records: Where the releases are recorded.
        releases: Name and namespace of each.
        some: Whether each has to bring some, as a release of CRDs has.
    """
    view = ListWatch(kubernetes, CRDS)
    brought: dict[str, tuple[str, ...]] = {}

    def probe() -> Observation[int]:
        # A record does not change while nothing is installed.
        brought.update({} if brought else crds_of(records, releases))
        if some and not all(brought.values()):
            empty = next(name for name, crds in brought.items() if not crds)
            return never(f"release {empty} brought no CRD")
        names = [name for crds in brought.values() for name in crds]
        present = {name_of(crd): crd for crd in view.items()} if names else {}
        wrong = [why for name in names if (why := _why_unestablished(name, present.get(name)))]
        if wrong:
            return not_yet(f"{len(wrong)} of {len(names)} not established; {wrong[0]}")
        counts_ = ", ".join(f"{name} {len(crds)}" for name, crds in brought.items())
        return holds(f"CRDs established: {counts_}", len(names))

    title = f"every CRD of {names_text([name for name, _ in releases])} to be established"
    return Condition(title, probe, view.changed, row="FL-225")


def _why_unestablished(name: str, crd: Object | None) -> str:
    """Return why the API server does not serve a CRD, or soon will not, empty if it does."""
    if crd is None:
        return f"{name} does not exist"
    if "deletionTimestamp" in crd["metadata"]:
        return f"{name} is being deleted, once the last object of its kind is gone"
    for type_ in ("NamesAccepted", "Established"):
        condition = condition_of(crd, type_)
        if condition.get("status") != "True":
            status = condition.get("status", "unset")
            return f"{name} {type_}={status}: {condition.get('message', 'no message')}"
    return ""


def workload_runs(kubernetes: Kubernetes, workload: Workload) -> Condition[int]:
    """Wait until a workload has rolled out and all its pods are ready; the value counts them.

    Its release has to be deployed before, so one that does not exist was deleted.
    """
    view = ListWatch(kubernetes, workload.kind, namespace=workload.namespace)

    def probe() -> Observation[int]:
        item = view.named(workload.name)
        if item is None:
            return never(f"{workload.namespace}/{workload.name} does not exist", rows=("FL-067",))
        wanted, ready, current = counts(item)
        if current and wanted > 0 and ready >= wanted:
            return holds(f"{workload.name}: {ready} of {wanted} ready", ready)
        unready = why_workload_unready(kubernetes, item, workload)
        return (never if unready.permanent else not_yet)(unready.reason, rows=unready.rows)

    return Condition(
        f"{workload.kind.plural[:-1]} {workload.namespace}/{workload.name} to run",
        probe,
        view.changed,
    )


def runs_on_every_node(
    kubernetes: Kubernetes, cluster: Cluster, workload: Workload
) -> Condition[frozenset[str]]:
    """Wait until a DaemonSet has a ready pod on every node of the definition, and on no other."""
    view = ListWatch(kubernetes, PODS, namespace=workload.namespace)

    def probe() -> Observation[frozenset[str]]:
        item = kubernetes.get(workload.kind, workload.namespace, workload.name)
        if item is None:
            return not_yet(f"{workload.namespace}/{workload.name} does not exist")
        pods = [pod for pod in view.items() if owned_by(pod, workload.name)]
        nodes = frozenset(str(pod["spec"].get("nodeName", "")) for pod in pods if is_ready(pod))
        missing = sorted(cluster.node_names - nodes)
        if missing:
            return not_yet(f"{workload.name} is not ready on {names_text(missing)}")
        unknown = nodes - cluster.node_names
        if unknown:
            return not_yet(f"{workload.name} runs on unknown nodes: {names_text(unknown)}")
        return holds(f"{workload.name} is ready on all {len(nodes)} nodes", nodes)

    return Condition(f"{workload.name} to run on every node", probe, view.changed)


def no_pod_fails(kubernetes: Kubernetes) -> Condition[int]:
    """Wait until every pod of the cluster is ready or has succeeded; the value counts them."""
    view = ListWatch(kubernetes, PODS)

    def probe() -> Observation[int]:
        pods = view.items()
        failing = sorted(
            f"{pod['metadata']['namespace']}/{name_of(pod)}: {why_pod_unready(pod)}"
            for pod in pods
            if not is_well(pod)
        )
        if not pods:
            return not_yet("the cluster has no pods")
        if failing:
            return not_yet(f"{len(failing)} of {len(pods)} pods not well; {failing[0]}")
        return holds(f"{len(pods)} pods, none failing", len(pods))

    return Condition("no pod to fail", probe, view.changed)


def no_pod_named(kubernetes: Kubernetes, namespace: str, prefix: str) -> Condition[str]:
    """Check that no pod and no DaemonSet has a name that starts with this prefix."""

    def probe() -> Observation[str]:
        pods, _ = kubernetes.list(PODS, namespace=namespace)
        sets, _ = kubernetes.list(DAEMON_SETS, namespace=namespace)
        found = sorted(name_of(item) for item in (*pods, *sets) if name_of(item).startswith(prefix))
        return (
            never(f"{', '.join(found)} exists in {namespace}", rows=("FL-226",))
            if found
            else holds(f"no {prefix} in {namespace}", prefix)
        )

    return Condition(f"no {prefix} to exist", probe)


def config_map_contains(
    kubernetes: Kubernetes, namespace: str, name: str, expected: Mapping[str, str]
) -> Condition[Mapping[str, str]]:
    """Wait until a ConfigMap contains these values, and return them."""
    view = ListWatch(kubernetes, CONFIG_MAPS, namespace=namespace)

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
            return never(f"{name}: {'; '.join(wrong)}", rows=("FL-255",))
        return holds(", ".join(f"{key}={value}" for key, value in found.items()), found)

    return Condition(f"{name} to contain {', '.join(expected)}", probe, view.changed)


def cert_manager_webhook_answers(kubectl: Kubectl) -> Condition[str]:
    """Wait until the API server accepts a dry-run Issuer, which the webhook has to validate."""

    def probe() -> Observation[str]:
        result = kubectl.dry_run(ISSUER)
        if result.ok:
            return holds(result.last_line, result.last_line)
        row = classify("kubectl", result.stderr)
        final = not result.timed_out and (row is None or row.failure_class is FailureClass.FATAL)
        return never(result.last_line) if final else not_yet(result.last_line)

    return Condition("cert-manager's webhook to answer", probe)
