"""A value key that the chart does not know is found, because Helm would ignore it."""

from __future__ import annotations

import pytest

from firstlight.definition.valuekeys import unknown_keys

DEFAULTS = """
# -- Where cgroup2 is.
cgroup:
  autoMount:
    enabled: true
  hostRoot: /run/cilium/cgroupv2
masquerade:
  enabled: false
# which networks are spared
# config:
#   networks: []
nodeSelector:
  kubernetes.io/os: linux
  # zone: a
podAnnotations: {}
extraArgs: []
serviceAccounts:
# appLabel: "dns"
service:
  # clusterIP: ""
  # -- type: is told elsewhere
  name: ""
"""


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ({}, []),
        ({"cgroup": {"autoMount": {"enabled": False}}}, []),
        (
            {"cgroup": {"automount": {"enabled": False}}},
            ["the chart knows no value cgroup.automount; did you mean cgroup.autoMount?"],
        ),
        ({"zebra": 1}, ["the chart knows no value zebra"]),
        ({"podAnnotations": {"any": {"depth": "goes"}}}, []),
        ({"serviceAccounts": {"cilium": {"name": "x"}}}, []),
        ({"extraArgs": ["--any"]}, []),
        (
            {
                "appLabel": "kube-dns",
                "service": {"clusterIP": "10.43.0.10"},
                "masquerade": {"config": {"networks": ["10.42.0.0/16"]}},
            },
            [],
        ),
        # Commented out, but elsewhere.
        (
            {"clusterIP": "10.43.0.10", "cgroup": {"config": {}}},
            ["the chart knows no value clusterIP", "the chart knows no value cgroup.config"],
        ),
        ({"service": {"zone": "b"}}, ["the chart knows no value service.zone"]),
        # A word within a comment is no key.
        ({"service": {"type": "x"}}, ["the chart knows no value service.type"]),
        ({"global": {"imageRegistry": "x"}}, []),
        (
            {"zebra": 1, "cgroup": {"hostroot": "a"}},
            [
                "the chart knows no value zebra",
                "the chart knows no value cgroup.hostroot; did you mean cgroup.hostRoot?",
            ],
        ),
    ],
)
def test_unknown_keys_are_named_with_the_nearest_known_one(values, texts):
    assert [str(found) for found in unknown_keys(values, DEFAULTS)] == texts
