"""Compare manifests with the objects in the cluster, without even a dry run."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from firstlight.errors import FirstlightError
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import Kind, Object
from firstlight.tools.reading import Unreadable, read_yaml_documents

_PLURALS = {
    "Namespace": "namespaces",
    "Secret": "secrets",
    "ConfigMap": "configmaps",
    "GitRepository": "gitrepositories",
    "Kustomization": "kustomizations",
    "OCIRepository": "ocirepositories",
    "HelmRepository": "helmrepositories",
}
"""The kinds that a bootstrap applies itself; all others belong to Helm or Flux."""

_CLUSTER_WIDE = frozenset({"Namespace"})


def read_manifests(text: str, what: str) -> list[Object]:
    """Return the objects of a YAML stream, with each `List` expanded and no empty documents.

    Raises:
        Unreadable: The text is not valid YAML, or a document is not an object. The message contains
            none of the text, which may be secret.
    """
    step = (
        "a value with line breaks, quotes or a colon breaks the YAML around it: "
        "store it in base64, on one line"
    )
    objects: list[Object] = []
    for document in read_yaml_documents(text, what, next_step=step):
        is_list = isinstance(document, dict) and document.get("kind") == "List"
        objects.extend(
            (document.get("items") or []) if is_list else [document] if document is not None else []
        )
    for number, item in enumerate(objects, 1):
        if not (
            isinstance(item, dict)
            and {"apiVersion", "kind", "metadata"} <= item.keys()
            and "name" in (item["metadata"] or ())
        ):
            raise Unreadable(what, f"object {number} lacks apiVersion, kind or metadata.name")
    return objects


def difference(kubernetes: Kubernetes, objects: Sequence[Object]) -> str | None:
    """Return the first difference between manifests and cluster, or None.

    It never contains values, which may be secret.

    Raises:
        FirstlightError: A manifest has a kind that a bootstrap does not apply.
        ApiUnavailable: The API server did not answer.
    """
    for item in objects:
        kind, metadata = str(item["kind"]), item["metadata"]
        if kind not in _PLURALS:
            raise FirstlightError(
                f"cannot compare {kind} {metadata['name']}: bootstrap/ may only contain "
                f"{', '.join(_PLURALS)}; let Flux apply it"
            )
        namespace = "" if kind in _CLUSTER_WIDE else str(metadata.get("namespace", "default"))
        name = (
            f"{kind} {namespace}/{metadata['name']}" if namespace else f"{kind} {metadata['name']}"
        )
        live = kubernetes.get(
            Kind(str(item["apiVersion"]), _PLURALS[kind]), namespace, str(metadata["name"])
        )
        if live is None:
            return f"{name} does not exist"
        where = missing_from(_as_stored(item), live)
        if where is not None:
            return f"{name} differs at {where or 'the top'}"
    return None


def missing_from(wanted: Any, live: Any, path: str = "") -> str | None:
    """Return where the live value lacks something wanted, or None; extra fields do not matter.

    An empty value equals a missing one, because the API server does not keep the difference.
    """
    if _is_empty(wanted) and _is_empty(live):
        return None
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        inner = (
            (value, live.get(key), f"{path}.{key}" if path else str(key))
            for key, value in wanted.items()
        )
    elif isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        inner = ((value, live[index], f"{path}[{index}]") for index, value in enumerate(wanted))
    else:
        same = wanted == live and isinstance(wanted, bool) == isinstance(live, bool)
        return None if same else path
    return next((where for each in inner if (where := missing_from(*each)) is not None), None)


def _is_empty(value: Any) -> bool:
    return value is None or value is False or value in ("", [], {})


def _as_stored(item: Object) -> Object:
    """Return a manifest as the API server stores it: `stringData` and base64 are normalized."""
    stored = {key: value for key, value in item.items() if key not in ("stringData", "status")}
    if item["kind"] != "Secret":
        return stored
    data = {key: "".join(str(value).split()) for key, value in (item.get("data") or {}).items()}
    encoded = {
        key: base64.b64encode(str(value).encode()).decode()
        for key, value in (item.get("stringData") or {}).items()
    }
    return {**stored, "data": {**data, **encoded}}
