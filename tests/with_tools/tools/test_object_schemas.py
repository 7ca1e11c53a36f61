"""The fields that a definition may use are those of the pinned Flux's CRDs, with their types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from firstlight.definition.object_schemas import FLUX
from firstlight.definition.schema import Schema
from tests.definitions import CHECKOUT

TYPES = {
    "text": "string",
    "a whole number": "integer",
    "true or false": "boolean",
    "a mapping": "object",
    "a list": "array",
}


def crd(kind: str) -> dict[str, Any]:
    """Return the schema of `spec` in the stored version of a pinned CRD."""
    for path in (CHECKOUT / ".tools/charts/flux-crds/files").glob("*.yaml"):
        spec = yaml.safe_load(path.read_text())["spec"]
        if spec["names"]["kind"] == kind:
            stored = next(version for version in spec["versions"] if version["storage"])
            found: dict[str, Any] = stored["schema"]["openAPIV3Schema"]["properties"]["spec"]
            return found
    raise AssertionError(f"no pinned CRD of {kind}")


def differences(ours: Schema, theirs: dict[str, Any], name: str) -> Iterator[str]:
    if ours.kind == "anything":
        return
    if TYPES[ours.kind] != theirs["type"]:
        yield f"{name}: {ours.kind}, but {theirs['type']}"
        return
    fields = theirs.get("properties", {})
    for key in sorted({*ours.fields} ^ {*fields}):
        yield f"{name}.{key}: only in {'our schema' if key in ours.fields else 'the CRD'}"
    for key in sorted({*ours.fields} & {*fields}):
        if ours.fields[key].required and key not in theirs.get("required", ()):
            yield f"{name}.{key}: not required by the CRD"
        yield from differences(ours.fields[key], fields[key], f"{name}.{key}")
    if (item := theirs.get("items", theirs.get("additionalProperties"))) is not None:
        yield from differences(ours.item or Schema("nothing"), item, f"{name}[]")


@pytest.mark.parametrize("kind", sorted(FLUX))
def test_our_fields_are_those_of_the_pinned_crd(kind: str) -> None:
    assert list(differences(FLUX[kind], crd(kind), kind)) == []


def test_a_field_that_is_missing_or_of_another_type_is_a_difference() -> None:
    theirs = crd("HelmRepository")
    del theirs["properties"]["passCredentials"]
    theirs["properties"]["interval"] = {"type": "integer"}
    theirs["properties"]["more"] = {"type": "string"}

    assert list(differences(FLUX["HelmRepository"], theirs, "spec")) == [
        "spec.more: only in the CRD",
        "spec.passCredentials: only in our schema",
        "spec.interval: text, but integer",
    ]
