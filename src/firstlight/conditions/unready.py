"""Why pods are not ready: what a workload's own status does not say."""

from __future__ import annotations

from dataclasses import dataclass

from firstlight.conditions.condition import Observation, never, not_yet
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

HOPELESS_REASONS = ("InvalidImageName", "CreateContainerConfigError", "ErrImageNeverPull")
"""Waiting reasons that no passing of time mends; pull back-off and crash loops do get better, and are shown instead."""

SAID_MAX = 360
"""What a registry or a runtime says begins with what was tried, and ends with the reason; between them is a path of wrappers."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or DaemonSet that a release brings."""

    kind: Kind
    namespace: str
    name: str


def unready_of(kubernetes: Kubernetes, release: str, namespace: str) -> list[str]:
    """Return what holds back the pods of a release, one line for each workload that is not ready.

    Raises:
        FirstlightError: The cluster does not answer.
    """
    lines = []
    for kind in (DAEMON_SETS, DEPLOYMENTS):
        for item in kubernetes.list(kind)[0]:
            made_by = item["metadata"].get("annotations") or {}
            if (made_by.get(RELEASE), made_by.get(RELEASE_NAMESPACE)) != (release, namespace):
                continue
            wanted, ready, current = counts(item)
            if not current or ready < wanted:
                workload = Workload(kind, str(item["metadata"]["namespace"]), name_of(item))
                lines.append(
                    why_not(
                        kubernetes, item, workload, f"{workload.name}: {ready} of {wanted} ready"
                    ).seen
                )
    return lines


def why_not(
    kubernetes: Kubernetes, item: Object, workload: Workload, seen: str
) -> Observation[int]:
    """Say what holds a workload's pods back, from the pods themselves."""
    labels = ",".join(
        f"{key}={value}"
        for key, value in (item["spec"]["selector"].get("matchLabels") or {}).items()
    )
    pods, _ = kubernetes.list(PODS, namespace=workload.namespace, labels=labels)
    reasons = sorted({pod_text(pod) for pod in pods if not is_ready(pod)})
    if any(reason.startswith(HOPELESS_REASONS) for reason in reasons):
        return never(f"{seen}; {'; '.join(reasons)}")
    if not pods:
        # Its pods were refused, as by Pod Security: only events say so.
        reasons = _refusals(kubernetes, workload)
    return not_yet(f"{seen}; {reasons[0]}" if reasons else seen)


def _refusals(kubernetes: Kubernetes, workload: Workload) -> list[str]:
    """Return why no pod of a workload could be made, as its controller said last in an event."""
    events, _ = kubernetes.list(EVENTS, namespace=workload.namespace)
    failed = [
        event
        for event in events
        if event.get("reason") == "FailedCreate" and _is_about(event, workload)
    ]
    # They are listed by name.
    failed.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return [_joined("FailedCreate", event.get("message")) for event in failed[-1:]]


def _is_about(event: Object, workload: Workload) -> bool:
    """Report whether an event is about what makes a workload's pods: a DaemonSet itself, and a ReplicaSet of a Deployment."""
    about = event.get("involvedObject") or {}
    name = str(about.get("name", ""))
    if workload.kind == DEPLOYMENTS:
        # Named after its Deployment and a hash, in which there is no dash.
        return about.get("kind") == "ReplicaSet" and name.rpartition("-")[0] == workload.name
    return about.get("kind") == "DaemonSet" and name == workload.name


def owned_by(pod: Object, name: str) -> bool:
    """Report whether a pod belongs to a DaemonSet or ReplicaSet of that name."""
    return any(owner.get("name") == name for owner in pod["metadata"].get("ownerReferences") or [])


def _how_it_ended(container: Object) -> str:
    """Return why a container ended the last time, empty when it never did: a crash loop's own message only says how long it waits."""
    ended = (container.get("lastState") or {}).get("terminated") or {}
    if not ended:
        return ""
    # The end of its log is the telling part, where the pod asks for that (terminationMessagePolicy).
    said = " ".join(str(ended.get("message", "")).split())[-SAID_MAX:]
    how = f"; {container.get('name')} ended with {ended.get('reason')}, exit code {ended.get('exitCode')}"
    return f"{how}: {said}" if said else how


def _joined(reason: object, message: object) -> str:
    said = " ".join(str(message or "").split())
    if len(said) > SAID_MAX:
        said = f"{said[: SAID_MAX // 3]} ... {said[-SAID_MAX * 2 // 3 :]}"
    return f"{reason}: {said}".rstrip(": ")


def pod_text(pod: Object) -> str:
    """Return the most telling reason why a pod is not ready."""
    status = pod.get("status", {})
    for container in (
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ):
        state = container.get("state") or {}
        detail = state.get("waiting") or state.get("terminated") or {}
        if detail.get("reason") not in (None, "Completed", "PodInitializing", "ContainerCreating"):
            return _joined(detail.get("reason"), detail.get("message")) + _how_it_ended(container)
    scheduled = condition_of(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return (
            f"{scheduled.get('reason', 'Unscheduled')}: {str(scheduled.get('message', ''))[:160]}"
        )
    return str(status.get("phase", "unknown"))
