"""How Cilium's connectivity test is run where images come from the lab's own mirror, and what of it cannot be shown there."""

from __future__ import annotations

from typing import Any

from firstlight.toolbox import Pins

_OUTSIDE = "!/pod-to-(world|cidr)"
"""The scenarios that leave the cluster, by the pattern with which the CLI leaves them out; it then says "skipped by user"."""


def connectivity(pins: Pins) -> dict[str, Any]:
    """Return the flags of the connectivity test, and what this target lacks with the reason, in the CLI's own words for it."""
    flags = {
        "--curl-image": pins.images["client"],
        "--json-mock-image": pins.images["json-mock"],
        "--dns-test-server-image": f"docker.io/coredns/coredns:{pins.tools['coredns'].version}",
        "--ip-families": "ipv4",
        "--test": _OUTSIDE,
    }
    lacks = {
        "skipped by user": "the machines reach no network but their own: this computer passes none of their packets on",
        "l7-proxy": "Envoy cannot be built from package registries",
        "node-without-cilium": "every machine of the definition runs Cilium, so none is outside of it",
    }
    return {"flags": [word for flag in flags.items() for word in flag], "lacks": lacks}
