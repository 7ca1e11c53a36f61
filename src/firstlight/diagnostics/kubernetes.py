"""The cluster's objects: nodes, unready objects with descriptions, logs of failing pods, events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from firstlight.checklist import Capability
from firstlight.diagnostics.archive import Entries, Entry, Omitted, output_of
from firstlight.diagnostics.deadline import Deadline
from firstlight.diagnostics.failure import Failure
from firstlight.tools.objects import Object, counts, is_ready, is_well, name_of
from firstlight.tools.reading import Unreadable, read_json

DESCRIBED_MAX = 8
"""Objects of a kind that are described; more of them usually fail for the same reason."""

LOG_LINES = "200"

WORKLOADS = ("deployments", "daemonsets", "statefulsets", "jobs")


def objects(failure: Failure, deadline: Deadline) -> Entries:
    """Yield nodes, workloads and pods, a description of each that is not ready, and events."""
    yield output_of("kubernetes/nodes.txt", *failure.kubectl("get", "nodes", "--output", "wide"))
    yield from _described(failure, deadline, "nodes", is_ready)
    yield output_of(
        "kubernetes/pods.txt",
        *failure.kubectl("get", "pods", "--all-namespaces", "--output", "wide"),
    )
    yield from _pods(failure, deadline)
    for kind in WORKLOADS:
        yield from _described(failure, deadline, kind, _workload_is_ready)
    yield from events(failure, deadline)


def events(failure: Failure, _deadline: Deadline) -> Entries:
    """Yield the cluster's events."""
    yield output_of(
        "kubernetes/events.txt",
        *failure.kubectl("get", "events", "--all-namespaces", "--sort-by", ".lastTimestamp"),
    )


def crds(failure: Failure, _deadline: Deadline) -> Entries:
    """Yield the conditions of each CRD; whole CRDs would fill the archive."""
    yield conditions("kubernetes/crds.txt", failure, "customresourcedefinitions")


def not_ready(
    failure: Failure, deadline: Deadline, kind: str, is_healthy: Callable[[Object], bool]
) -> list[Object] | None:
    """Return the unready objects of a kind in all namespaces, or None if they cannot be listed."""
    answer = deadline.run(failure.kubectl("get", kind, "--all-namespaces", "--output", "json"))
    try:
        listed: Any = read_json(answer.stdout, f"the list of {kind}") if answer.ok else None
    except Unreadable:
        # The list was longer than the kept output; the tables in the archive still show it.
        listed = None
    return None if listed is None else [item for item in _items(listed) if not is_healthy(item)]


def conditions(name: str, failure: Failure, kind: str) -> Entry:
    """Return an entry with only the conditions of every object of a kind."""
    columns = (
        "NAMESPACE:.metadata.namespace,NAME:.metadata.name,CREATED:.metadata.creationTimestamp"
        ",CONDITIONS:.status.conditions[*].type,IS:.status.conditions[*].status"
        ",WHY:.status.conditions[*].message"
    )
    return output_of(
        name,
        *failure.kubectl("get", kind, "--all-namespaces", "--output", f"custom-columns={columns}"),
    )


def describe(failure: Failure, kind: str, items: list[Object] | None) -> Entries:
    """Yield the description of each object up to a limit, or why it is missing."""
    if not items:
        yield Omitted(
            f"kubernetes/describe-{kind.partition('.')[0]}",
            "they cannot be listed" if items is None else "all are ready",
        )
    for number, item in enumerate(items or ()):
        namespace, name = str(item["metadata"].get("namespace", "")), name_of(item)
        words = ["--namespace", namespace] if namespace else []
        path = "-".join(filter(None, ("describe", kind.partition(".")[0], namespace, name)))
        if number < DESCRIBED_MAX:
            yield output_of(
                f"kubernetes/{path}.txt", *failure.kubectl(*words, "describe", kind, name)
            )
        else:
            yield Omitted(f"kubernetes/{path}.txt", f"only {DESCRIBED_MAX} are described")


def _described(
    failure: Failure, deadline: Deadline, kind: str, is_healthy: Callable[[Object], bool]
) -> Entries:
    yield from describe(failure, kind, not_ready(failure, deadline, kind, is_healthy))


def _pods(failure: Failure, deadline: Deadline) -> Entries:
    failing = not_ready(failure, deadline, "pods", is_well)
    yield from describe(failure, "pods", failing)
    if Capability.RUNNING_PODS not in failure.target.capabilities:
        yield Omitted("kubernetes/logs", failure.target.reasons[Capability.RUNNING_PODS])
        return
    for pod in (failing or ())[:DESCRIBED_MAX]:
        namespace, name = str(pod["metadata"].get("namespace", "")), name_of(pod)
        words = (
            *("--namespace", namespace, "logs", name),
            *("--all-containers", "--prefix", "--tail", LOG_LINES),
        )
        yield output_of(f"kubernetes/logs-{namespace}-{name}.txt", *failure.kubectl(*words))
        if _restarts(pod):
            yield output_of(
                f"kubernetes/logs-{namespace}-{name}-before.txt",
                *failure.kubectl(*words, "--previous"),
            )


def _items(listed: Any) -> list[Object]:
    items = listed.get("items") if isinstance(listed, dict) else None
    return [
        item
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, dict)
        and isinstance(item.get("metadata"), dict)
        and "name" in item["metadata"]
    ]


def _workload_is_ready(item: Object) -> bool:
    status, spec = item.get("status") or {}, item.get("spec") or {}
    if "completions" in spec:
        return bool(status.get("succeeded", 0) >= (spec["completions"] or 1))
    wanted, ready, current = counts(item)
    return current and ready >= wanted


def _restarts(pod: Object) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return sum(int(status.get("restartCount", 0)) for status in statuses)
