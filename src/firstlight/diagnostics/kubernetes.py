"""The cluster's objects: nodes, what is not ready with its description, the logs of failing pods, and events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from firstlight.checklist import Capability
from firstlight.diagnostics.deadline import Looking
from firstlight.diagnostics.failure import Failure
from firstlight.diagnostics.piece import Absent, Found, Piece, asking
from firstlight.tools.objects import Object, counts, is_ready, is_well, name_of
from firstlight.tools.reading import Unreadable, read_json

DESCRIBED_MAX = 8
"""Objects of a kind that are described; what ails the ninth, ails the first."""

LOG_LINES = "200"

WORKLOADS = ("deployments", "daemonsets", "statefulsets", "jobs")


def objects(failure: Failure, looking: Looking) -> Found:
    """Yield nodes, workloads and pods with what is wrong with them, and the events."""
    yield asking("kubernetes/nodes.txt", *failure.kubectl("get", "nodes", "--output", "wide"))
    yield from _described(failure, looking, "nodes", is_ready)
    yield asking(
        "kubernetes/pods.txt",
        *failure.kubectl("get", "pods", "--all-namespaces", "--output", "wide"),
    )
    yield from _pods(failure, looking)
    for kind in WORKLOADS:
        yield from _described(failure, looking, kind, _workload_is_ready)
    yield from events(failure, looking)


def events(failure: Failure, _looking: Looking) -> Found:
    """Yield what happened in the cluster lately."""
    yield asking(
        "kubernetes/events.txt",
        *failure.kubectl("get", "events", "--all-namespaces", "--sort-by", ".lastTimestamp"),
    )


def crds(failure: Failure, _looking: Looking) -> Found:
    """Yield each custom resource definition with its conditions; whole ones would fill the archive."""
    yield conditions("kubernetes/crds.txt", failure, "customresourcedefinitions")


def not_ready(
    failure: Failure, looking: Looking, kind: str, well: Callable[[Object], bool]
) -> list[Object] | None:
    """Return the objects of a kind, in all namespaces, that are not ready; none at all where they cannot be listed."""
    answer = looking.ask(failure.kubectl("get", kind, "--all-namespaces", "--output", "json"))
    try:
        listed: Any = read_json(answer.stdout, f"the list of {kind}") if answer.ok else None
    except Unreadable:
        # Longer than what is kept of a command's output: the tables beside it say what there is.
        listed = None
    return None if listed is None else [item for item in _items(listed) if not well(item)]


def conditions(name: str, failure: Failure, kind: str) -> Piece:
    """Return the piece that holds the conditions of every object of a kind, and nothing else of it."""
    columns = (
        "NAMESPACE:.metadata.namespace,NAME:.metadata.name,CREATED:.metadata.creationTimestamp"
    )
    columns += ",CONDITIONS:.status.conditions[*].type,IS:.status.conditions[*].status,WHY:.status.conditions[*].message"
    return asking(
        name,
        *failure.kubectl("get", kind, "--all-namespaces", "--output", f"custom-columns={columns}"),
    )


def describe(failure: Failure, kind: str, items: list[Object] | None) -> Found:
    """Yield the description of each object, up to a limit; that there is none to describe is said, too."""
    if not items:
        yield Absent(
            f"kubernetes/describe-{kind.partition('.')[0]}",
            "they cannot be listed" if items is None else "none is unready",
        )
    for place, item in enumerate(items or ()):
        namespace, name = str(item["metadata"].get("namespace", "")), name_of(item)
        words = ["--namespace", namespace] if namespace else []
        path = "-".join(filter(None, ("describe", kind.partition(".")[0], namespace, name)))
        if place < DESCRIBED_MAX:
            yield asking(f"kubernetes/{path}.txt", *failure.kubectl(*words, "describe", kind, name))
        else:
            yield Absent(f"kubernetes/{path}.txt", f"only {DESCRIBED_MAX} are described")


def _described(
    failure: Failure, looking: Looking, kind: str, well: Callable[[Object], bool]
) -> Found:
    yield from describe(failure, kind, not_ready(failure, looking, kind, well))


def _pods(failure: Failure, looking: Looking) -> Found:
    failing = not_ready(failure, looking, "pods", is_well)
    yield from describe(failure, "pods", failing)
    if Capability.RUNNING_PODS not in failure.target.capabilities:
        yield Absent("kubernetes/logs", failure.target.reasons[Capability.RUNNING_PODS])
        return
    for pod in (failing or ())[:DESCRIBED_MAX]:
        namespace, name = str(pod["metadata"].get("namespace", "")), name_of(pod)
        words = (
            "--namespace",
            namespace,
            "logs",
            name,
            "--all-containers",
            "--prefix",
            "--tail",
            LOG_LINES,
        )
        yield asking(f"kubernetes/logs-{namespace}-{name}.txt", *failure.kubectl(*words))
        if _restarts(pod):
            yield asking(
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
