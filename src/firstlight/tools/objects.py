"""Objects of Kubernetes: their kinds, by the path under which the API server keeps them, and what they all have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object, by the path under which the API server keeps it."""

    group_version: str
    plural: str

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the path of the collection, or of one object."""
        base = f"/api/{self.group_version}" if "/" not in self.group_version else f"/apis/{self.group_version}"
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
"""Helm's own annotations on what a release made."""


def condition_of(item: Object, type_: str) -> Object:
    """Return a status condition of an object, empty when it has none of that type."""
    conditions: Sequence[Object] = (item.get("status") or {}).get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == type_), {})


def name_of(item: Object) -> str:
    """Return an object's name."""
    return str(item["metadata"]["name"])
