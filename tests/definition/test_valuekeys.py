"""A value key that the chart does not know is found, because Helm would ignore it."""

from __future__ import annotations

import pytest

from firstlight.definition.valuekeys import unknown_keys

DEFAULTS = {
    "cgroup": {"autoMount": {"enabled": True}, "hostRoot": "/run/cilium/cgroupv2"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "podAnnotations": {},
    "extraArgs": [],
    "serviceAccounts": None,
}


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ({}, []),
        ({"cgroup": {"autoMount": {"enabled": False}}}, []),
        ({"cgroup": {"automount": {"enabled": False}}}, ["the chart knows no value cgroup.automount; did you mean cgroup.autoMount?"]),
        ({"zebra": 1}, ["the chart knows no value zebra"]),
        ({"podAnnotations": {"any": {"depth": "goes"}}}, []),
        ({"serviceAccounts": {"cilium": {"name": "x"}}}, []),
        ({"extraArgs": ["--any"]}, []),
        ({"global": {"imageRegistry": "x"}}, []),
        (
            {"zebra": 1, "cgroup": {"hostroot": "a"}},
            ["the chart knows no value zebra", "the chart knows no value cgroup.hostroot; did you mean cgroup.hostRoot?"],
        ),
    ],
)
def test_unknown_keys_are_named_with_the_nearest_known_one(values, texts):
    assert [str(found) for found in unknown_keys(values, DEFAULTS)] == texts
