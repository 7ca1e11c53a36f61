"""Kubernetes objects: their kinds with API paths, common fields, and readiness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object, by its API path."""

    group_version: str
    plural: str

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the API path of the collection, or of one object."""
        base = (
            f"/api/{self.group_version}"
            if "/" not in self.group_version
            else f"/apis/{self.group_version}"
        )
        parts = [base]
        if namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        return "/".join(parts)


NODES = Kind("v1", "nodes")
PODS = Kind("v1", "pods")
SERVICES = Kind("v1", "services")
SECRETS = Kind("v1", "secrets")
EVENTS = Kind("v1", "events")
CONFIG_MAPS = Kind("v1", "configmaps")
NAMESPACES = Kind("v1", "namespaces")
DAEMON_SETS = Kind("apps/v1", "daemonsets")
DEPLOYMENTS = Kind("apps/v1", "deployments")
REPLICA_SETS = Kind("apps/v1", "replicasets")
CONTROLLER_REVISIONS = Kind("apps/v1", "controllerrevisions")
CRDS = Kind("apiextensions.k8s.io/v1", "customresourcedefinitions")
GIT_REPOSITORIES = Kind("source.toolkit.fluxcd.io/v1", "gitrepositories")
KUSTOMIZATIONS = Kind("kustomize.toolkit.fluxcd.io/v1", "kustomizations")
HELM_RELEASES = Kind("helm.toolkit.fluxcd.io/v2", "helmreleases")


RELEASE, RELEASE_NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
"""Helm's annotations on the objects of a release."""


def condition_of(item: Object, type_: str) -> Object:
    """Return a status condition of an object, empty if there is none of that type."""
    conditions: Sequence[Object] = (item.get("status") or {}).get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == type_), {})


def is_ready(item: Object) -> bool:
    """Report whether an object is Ready and not being deleted."""
    return (
        condition_of(item, "Ready").get("status") == "True"
        and "deletionTimestamp" not in item["metadata"]
    )


def is_suspended(item: Object) -> bool:
    """Report whether a Flux object is suspended, so that Flux ignores all changes of it."""
    return bool((item.get("spec") or {}).get("suspend"))


def is_well(pod: Object) -> bool:
    """Report whether a pod is ready or has succeeded."""
    return is_ready(pod) or (pod.get("status") or {}).get("phase") == "Succeeded"


def counts(item: Object) -> tuple[int, int, bool]:
    """Return wanted and ready pods of a workload, and whether its status is current."""
    status = item.get("status") or {}
    current = int(status.get("observedGeneration", 0)) >= int(item["metadata"].get("generation", 1))
    if "desiredNumberScheduled" in status:
        wanted = int(status["desiredNumberScheduled"])
        return (
            wanted,
            min(int(status.get("numberReady", 0)), int(status.get("updatedNumberScheduled", 0))),
            current,
        )
    wanted = int((item.get("spec") or {}).get("replicas", 1))
    return (
        wanted,
        min(int(status.get("readyReplicas", 0)), int(status.get("updatedReplicas", 0))),
        current,
    )


def name_of(item: Object) -> str:
    """Return an object's name."""
    return str(item["metadata"]["name"])
