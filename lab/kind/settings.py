"""What can be chosen of a kind lab, and how its parts are called."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network

from lab.docker.settings import network_of
from lab.kind.cli import Kind
from lab.simulated.paths import LabPaths

SUBNET_VARIABLE = "FIRSTLIGHT_KIND_SUBNET"
_SUBNET = "10.6.0.0/24"


def subnet_of(environ: Mapping[str, str]) -> IPv4Network:
    """Return the network that the containers are to be on.

    Raises:
        TargetError: It is none.
    """
    return network_of(environ.get(SUBNET_VARIABLE) or _SUBNET, SUBNET_VARIABLE, _SUBNET)


def given_by_the_engine(subnet: IPv4Network) -> IPv4Network:
    """Return the addresses that the engine may give: the last eighth, where the definition has no machines of its own."""
    return list(subnet.subnets(prefixlen_diff=3))[-1]


def kind_of(paths: LabPaths, environ: Mapping[str, str]) -> Kind:
    """Return kind for a lab's cluster; its names tell it from every other cluster of the operator's."""
    name = f"firstlight-{paths.cluster}"
    return Kind(
        paths.tools / "kind", name, f"{name}-kind", paths.state / "kind.kubeconfig", dict(environ)
    )
