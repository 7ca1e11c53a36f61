"""helmfile and the HelmRelease are compared field by field."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firstlight.definition import load
from firstlight.definition.parity import MISSING, differences
from tests.definition.trees import TWO_CLUSTERS

CILIUM = load(TWO_CLUSTERS, "infra").release("cilium")
RENDERED = {
    "name": "cilium",
    "namespace": "kube-system",
    "chart": "cilium/cilium",
    "version": "1.18.5",
    "enabled": True,
    "labels": "",
}


def test_equal_sides_have_no_difference():
    assert differences(CILIUM, RENDERED, dict(CILIUM.values)) == ()


@pytest.mark.parametrize(
    "chart",
    [
        "cilium",
        "cilium/cilium",
        "oci://quay.io/cilium/charts/cilium",
        "oci://127.25.11.1:5000/charts/cilium/",
    ],
)
def test_a_chart_is_compared_without_its_repository(chart: str):
    assert differences(CILIUM, {**RENDERED, "chart": chart}, CILIUM.values) == ()


@pytest.mark.parametrize(
    ("key", "seen", "text"),
    [
        ("chart", "cilium/cillium", "cilium: chart: helmfile has cillium, the HelmRelease cilium"),
        ("version", "1.18.6", "cilium: version: helmfile has 1.18.6, the HelmRelease 1.18.5"),
        (
            "namespace",
            "cilium",
            "cilium: namespace: helmfile has cilium, the HelmRelease kube-system",
        ),
        ("version", MISSING, "cilium: version: helmfile has nothing, the HelmRelease 1.18.5"),
    ],
)
def test_each_difference_is_named(key: str, seen: str, text: str):
    rendered = {name: value for name, value in {**RENDERED, key: seen}.items() if value != MISSING}

    assert [str(found) for found in differences(CILIUM, rendered, CILIUM.values)] == [text]


@pytest.mark.parametrize(
    ("wanted", "seen", "fields"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["values.a.b"]),
        ({"a": {"b": 1}}, {"a": {}}, ["values.a.b"]),
        ({}, {"a": None}, ["values.a"]),
        ({"a": True}, {"a": 1}, ["values.a"]),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, ["values.a[1].b"]),
        ({"a": [1]}, {"a": [1, 2]}, ["values.a"]),
        ({"a": "1"}, {"a": 1}, ["values.a"]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
    ],
)
def test_values_are_compared_leaf_by_leaf(wanted, seen, fields):
    release = replace(CILIUM, values=wanted)

    assert [found.field for found in differences(release, RENDERED, seen)] == fields
