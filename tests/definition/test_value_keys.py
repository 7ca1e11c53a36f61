"""A value key that the chart does not know is reported, because Helm would ignore it."""

from __future__ import annotations

import pytest

from firstlight.definition.parity import unknown_keys

DEFAULTS = """
# -- Where cgroup2 is.
cgroup:
  autoMount:
    enabled: true
  hostRoot: /run/cilium/cgroupv2
masquerade:
  enabled: false
# which networks are excluded
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
  # -- type: is described elsewhere
  name: ""
"""


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ({}, []),
        ({"cgroup": {"autoMount": {"enabled": False}}}, []),
        (
            {"cgroup": {"automount": {"enabled": False}}},
            ["the chart has no value cgroup.automount; did you mean cgroup.autoMount?"],
        ),
        ({"zebra": 1}, ["the chart has no value zebra"]),
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
        # Commented out, but in another block.
        (
            {"clusterIP": "10.43.0.10", "cgroup": {"config": {}}},
            ["the chart has no value clusterIP", "the chart has no value cgroup.config"],
        ),
        ({"service": {"zone": "b"}}, ["the chart has no value service.zone"]),
        # A word in the text of a comment is not a key.
        ({"service": {"type": "x"}}, ["the chart has no value service.type"]),
        ({"global": {"imageRegistry": "x"}}, []),
        (
            {"zebra": 1, "cgroup": {"hostroot": "a"}},
            [
                "the chart has no value zebra",
                "the chart has no value cgroup.hostroot; did you mean cgroup.hostRoot?",
            ],
        ),
    ],
)
def test_an_unknown_key_is_named_with_the_closest_known_key(values, texts):
    assert [str(found) for found in unknown_keys(values, DEFAULTS)] == texts
