"""Why pods are not ready, from the pods and events themselves: a workload's status does not say."""

from __future__ import annotations

from dataclasses import dataclass

from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import (
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    PODS,
    RELEASE,
    RELEASE_NAMESPACE,
    Kind,
    Object,
    condition_of,
    counts,
    is_ready,
    name_of,
)

PERMANENT_REASONS = ("InvalidImageName", "CreateContainerConfigError", "ErrImageNeverPull")
"""Waiting reasons that time does not cure; image pull back-offs and crash loops may recover."""

NOTHING_WANTED = "FL-251"
"""The row of the failure catalogue for a workload of which no pod is to run."""

MESSAGE_CHARACTERS_MAX = 360
"""Messages of registries and runtimes start with what was tried and end with the reason.

Between the two is a chain of wrapped errors, which is cut out.
"""


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or DaemonSet of a release."""

    kind: Kind
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Unready:
    """Why a workload is not ready.

    Attributes:
        reason: The reason, on one line.
        permanent: Whether time cannot cure it.
        rows: The rows of the failure catalogue that explain it.
    """

    reason: str
    permanent: bool = False
    rows: tuple[str, ...] = ()


def why_workload_unready(kubernetes: Kubernetes, item: Object, workload: Workload) -> Unready:
    """Return how many pods of a workload are ready, and what holds the others back.

    Raises:
        FirstlightError: The API server does not answer.
    """
    wanted, ready, current = counts(item)
    if wanted == 0 and current:
        return _nothing_wanted(workload)
    seen = f"{workload.name}: {ready} of {wanted} ready"
    labels = ",".join(
        f"{key}={value}"
        for key, value in (item["spec"]["selector"].get("matchLabels") or {}).items()
    )
    pods, _ = kubernetes.list(PODS, namespace=workload.namespace, labels=labels)
    reasons = sorted({why_pod_unready(pod) for pod in pods if not is_ready(pod)})
    if any(reason.startswith(PERMANENT_REASONS) for reason in reasons):
        return Unready(
            f"{seen}; {'; '.join(reasons)}",
            permanent=True,
            rows=_rows(workload, ready, reasons[0]),
        )
    if not pods:
        # Its pods were rejected, for example by Pod Security: only events show that.
        reasons = _rejections(kubernetes, workload)
    reason = reasons[0] if reasons else ""
    return Unready(f"{seen}; {reason}" if reason else seen, rows=_rows(workload, ready, reason))


def _nothing_wanted(workload: Workload) -> Unready:
    """Return that no pod of a workload is to run, which only a DaemonSet's nodes can change."""
    namespace, name = workload.namespace, workload.name
    if workload.kind == DEPLOYMENTS:
        command = f"kubectl --namespace {namespace} scale deployment {name} --replicas <number>"
        return Unready(f"{name} is scaled to 0: {command}", permanent=True, rows=(NOTHING_WANTED,))
    seen = f"{name}: no node matches its node selector and tolerations"
    return Unready(seen, rows=(NOTHING_WANTED,))


def _rows(workload: Workload, ready: int, reason: str) -> tuple[str, ...]:
    """Return the rows that explain an unready workload, beyond what its reason says."""
    if workload.name in ("cilium", "cilium-operator") and reason.startswith("Pending"):
        return ("FL-102",)
    if workload.name == "coredns" and not ready and not reason.startswith("Unschedulable"):
        return ("FL-103",)
    return ()


def unready_workloads(kubernetes: Kubernetes, release: str, namespace: str) -> list[str]:
    """Return one line for each workload of a release that is not ready: what holds its pods back.

    Raises:
        FirstlightError: The API server does not answer.
    """
    lines = []
    for kind in (DAEMON_SETS, DEPLOYMENTS):
        for item in kubernetes.list(kind)[0]:
            annotations = item["metadata"].get("annotations") or {}
            found = (annotations.get(RELEASE), annotations.get(RELEASE_NAMESPACE))
            if found != (release, namespace):
                continue
            wanted, ready, current = counts(item)
            if not current or ready < wanted:
                workload = Workload(kind, str(item["metadata"]["namespace"]), name_of(item))
                lines.append(why_workload_unready(kubernetes, item, workload).reason)
    return lines


def why_pod_unready(pod: Object) -> str:
    """Return the most specific reason why a pod is not ready."""
    status = pod.get("status", {})
    for container in (
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ):
        state = container.get("state") or {}
        detail = state.get("waiting") or state.get("terminated") or {}
        if detail.get("reason") not in (None, "Completed", "PodInitializing", "ContainerCreating"):
            reason = _shortened(detail.get("reason"), detail.get("message"))
            return reason + _last_termination(container)
    scheduled = condition_of(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        reason = scheduled.get("reason", "Unscheduled")
        return f"{reason}: {str(scheduled.get('message', ''))[:160]}"
    return str(status.get("phase", "unknown"))


def owned_by(pod: Object, name: str) -> bool:
    """Report whether a pod belongs to a DaemonSet or ReplicaSet of that name."""
    return any(owner.get("name") == name for owner in pod["metadata"].get("ownerReferences") or [])


def _rejections(kubernetes: Kubernetes, workload: Workload) -> list[str]:
    """Return why the controller of a workload could not create its pods, from its last event."""
    events, _ = kubernetes.list(EVENTS, namespace=workload.namespace)
    failed = [
        event
        for event in events
        if event.get("reason") == "FailedCreate" and _is_about(event, workload)
    ]
    # The API server lists them by name.
    failed.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return [_shortened("FailedCreate", event.get("message")) for event in failed[-1:]]


def _is_about(event: Object, workload: Workload) -> bool:
    """Report whether an event is about what creates the pods: a DaemonSet or a ReplicaSet."""
    about = event.get("involvedObject") or {}
    name = str(about.get("name", ""))
    if workload.kind == DEPLOYMENTS:
        # A ReplicaSet is named after its Deployment and a hash, which contains no dash.
        return about.get("kind") == "ReplicaSet" and name.rpartition("-")[0] == workload.name
    return about.get("kind") == "DaemonSet" and name == workload.name


def _last_termination(container: Object) -> str:
    """Return why a container last terminated, empty if it never did.

    The message of a crash loop only says how long it waits.
    """
    ended = (container.get("lastState") or {}).get("terminated") or {}
    if not ended:
        return ""
    # With terminationMessagePolicy FallbackToLogsOnError, the end of the log is what counts.
    said = " ".join(str(ended.get("message", "")).split())[-MESSAGE_CHARACTERS_MAX:]
    how = (
        f"; {container.get('name')} ended with {ended.get('reason')}, "
        f"exit code {ended.get('exitCode')}"
    )
    return f"{how}: {said}" if said else how


def _shortened(reason: object, message: object) -> str:
    text = " ".join(str(message or "").split())
    limit = MESSAGE_CHARACTERS_MAX
    if len(text) > limit:
        text = f"{text[: limit // 3]} ... {text[-limit * 2 // 3 :]}"
    return f"{reason}: {text}".rstrip(": ")
