"""Compare manifests with what the cluster holds, without asking the API server to change or pretend anything."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from firstlight.tools.kubernetes import Kind, Kubernetes, Object

_PLURALS = {
    "Namespace": "namespaces",
    "Secret": "secrets",
    "ConfigMap": "configmaps",
    "GitRepository": "gitrepositories",
    "Kustomization": "kustomizations",
    "OCIRepository": "ocirepositories",
    "HelmRepository": "helmrepositories",
}
"""The kinds that a bootstrap applies by itself; everything else belongs to Helm or to Flux."""

_CLUSTER_WIDE = frozenset({"Namespace"})


def read_manifests(text: str) -> list[Object]:
    """Return the objects of a YAML stream, a `List` taken apart, empty documents left out."""
    objects: list[Object] = []
    for document in yaml.safe_load_all(text):
        if isinstance(document, dict):
            objects.extend(document["items"] if document.get("kind") == "List" else [document])
    return objects


def difference(kubernetes: Kubernetes, objects: Sequence[Object]) -> str | None:
    """Return the first thing that the cluster does not hold as the manifests say, or none when it holds all of it.

    Values are never named, as they may be secret.

    Raises:
        KeyError: A manifest is of a kind that a bootstrap has no business with.
        ApiUnavailable: The API server did not answer.
    """
    for item in objects:
        kind, metadata = str(item["kind"]), item["metadata"]
        namespace = "" if kind in _CLUSTER_WIDE else str(metadata.get("namespace", "default"))
        name = f"{kind} {namespace}/{metadata['name']}" if namespace else f"{kind} {metadata['name']}"
        live = kubernetes.get(Kind(str(item["apiVersion"]), _PLURALS[kind]), namespace, str(metadata["name"]))
        if live is None:
            return f"{name} does not exist"
        where = missing_from(_as_stored(item), live)
        if where:
            return f"{name} differs at {where}"
    return None


def missing_from(wanted: Any, live: Any, path: str = "") -> str:
    """Return where the live value lacks something that is wanted, empty when it lacks nothing; what it has besides does not matter."""
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            return path or "the top"
        for key, value in wanted.items():
            where = missing_from(value, live.get(key), f"{path}.{key}" if path else str(key))
            if where:
                return where
        return ""
    if isinstance(wanted, list):
        if not isinstance(live, list) or len(live) != len(wanted):
            return path
        return next((where for index, pair in enumerate(zip(wanted, live, strict=True)) if (where := missing_from(*pair, f"{path}[{index}]"))), "")
    return "" if wanted == live or (wanted in (None, "", False) and live is None) else path


def _as_stored(item: Object) -> Object:
    """Return a manifest in the form in which the API server keeps it: `stringData` becomes `data`."""
    stored = {key: value for key, value in item.items() if key not in ("stringData", "status")}
    if "stringData" in item:
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in item["stringData"].items()}
        stored["data"] = {**(item.get("data") or {}), **encoded}
    return stored
