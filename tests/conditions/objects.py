"""Minimal Kubernetes objects, as conditions read them."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def condition(type_: str, status: str, message: str = "", **more: Any) -> Object:
    return {"type": type_, "status": status, "message": message, **more}


def item(
    name: str,
    namespace: str = "",
    *,
    conditions: tuple[Object, ...] = (),
    generation: int = 1,
    spec: Object | None = None,
    **status: Any,
) -> Object:
    metadata: Object = {
        "name": name,
        "generation": generation,
        "creationTimestamp": "2026-11-23T07:32:00Z",
    }
    if namespace:
        metadata["namespace"] = namespace
    made: Object = {"metadata": metadata, "spec": spec or {}}
    if conditions or status:
        made["status"] = {"conditions": list(conditions), **status}
    return made


def ready(status: str = "True", message: str = "", **more: Any) -> tuple[Object, ...]:
    return (condition("Ready", status, message, **more),)


def pod(
    name: str,
    namespace: str = "kube-system",
    *,
    node: str = "",
    owner: str = "",
    well: bool = True,
    phase: str = "Running",
    **status: Any,
) -> Object:
    made = item(
        name,
        namespace,
        conditions=status.pop("conditions", ready("True" if well else "False")),
        spec={"nodeName": node},
        phase=phase,
        **status,
    )
    made["metadata"].update(
        {
            "labels": {"app": owner},
            "ownerReferences": [{"kind": "DaemonSet", "name": owner}] if owner else [],
        }
    )
    return made


def leaving(made: Object) -> Object:
    """Return a pod that is being deleted; its readiness does not change."""
    made["metadata"]["deletionTimestamp"] = "2026-11-23T07:32:00Z"
    return made


def waiting(reason: str, message: str = "") -> Object:
    return {"containerStatuses": [{"state": {"waiting": {"reason": reason, "message": message}}}]}
