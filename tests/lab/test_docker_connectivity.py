"""The connectivity test on the docker target without a registry, and what it cannot verify."""

from __future__ import annotations

import re

import pytest

from firstlight.target import Connectivity
from firstlight.toolbox import load_pins
from lab.docker.mirror import connectivity
from tests.lab.support import ROOT

CONFIGURED = connectivity(load_pins(ROOT / "tools" / "versions.toml"))
HERE = Connectivity(flags=tuple(CONFIGURED["flags"]), lacks=CONFIGURED["lacks"])


def test_the_image_set_contains_every_image_of_the_test():
    values = dict(zip(HERE.flags[::2], HERE.flags[1::2], strict=True))
    pins = load_pins(ROOT / "tools" / "versions.toml")

    assert values["--curl-image"] == pins.images["client"]
    assert values["--json-mock-image"] == pins.images["json-mock"]
    assert (
        values["--dns-test-server-image"]
        == f"docker.io/coredns/coredns:{pins.tools['coredns'].version}"
    )


@pytest.mark.parametrize(
    "scenario",
    [
        "no-policies/pod-to-world",
        "to-fqdns/pod-to-world-2",
        "client-egress-to-cidr-deny/pod-to-cidr",
    ],
)
def test_scenarios_that_leave_the_cluster_are_reported_as_not_verifiable(scenario: str):
    pattern = dict(zip(HERE.flags[::2], HERE.flags[1::2], strict=True))["--test"]

    assert re.search(pattern.removeprefix("!"), scenario)
    assert HERE.why_not(scenario, "skipped by user").startswith(
        "the machines reach no network but their own"
    )


@pytest.mark.parametrize(
    "scenario",
    [
        "no-policies/pod-to-pod",
        "no-policies/pod-to-host",
        "health/cilium-health",
        "no-policies-extra/pod-to-remote-nodeport",
    ],
)
def test_scenarios_within_the_cluster_run(scenario: str):
    pattern = dict(zip(HERE.flags[::2], HERE.flags[1::2], strict=True))["--test"]

    assert not re.search(pattern.removeprefix("!"), scenario)


def test_a_feature_that_the_definition_does_not_use_is_not_reported_as_missing():
    assert HERE.why_not("pod-to-pod-encryption", "Feature encryption-pod is disabled") == ""
    assert HERE.why_not("client-egress-l7", "Feature l7-proxy is disabled").startswith("Envoy")
