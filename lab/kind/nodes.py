"""The containers that kind made: their names, their roles, and the addresses that the engine gave them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Any

from firstlight.errors import TargetError
from lab.docker.engine import Engine

CLUSTER_LABEL = "io.x-k8s.kind.cluster"
"""kind's own label: it takes none of ours."""

_ROLE_LABEL = "io.x-k8s.kind.role"
_ENDPOINT = "external-load-balancer"


@dataclass(frozen=True, slots=True)
class Node:
    """A container of kind's."""

    hostname: str
    is_control_plane: bool
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class Found:
    """A whole kind cluster.

    Attributes:
        control_planes: In the order in which kind numbers them.
        workers: Likewise.
        endpoint: The address of kind's load balancer, which stands for the VIP.
    """

    control_planes: tuple[Node, ...]
    workers: tuple[Node, ...]
    endpoint: IPv4Address


def find_nodes(engine: Engine, name: str, network: str) -> Found:
    """Return the running containers of a cluster.

    Raises:
        TargetError: One of them does not run, or has no address on the lab's network.
    """
    containers = engine.inspect(
        "container", engine.labelled("container", f"{CLUSTER_LABEL}={name}")
    )
    stopped = sorted(_name(each) for each in containers if not each["State"]["Running"])
    if stopped or not containers:
        raise TargetError(
            f"cannot use the kind cluster {name}: {', '.join(stopped) + ' not running' if stopped else 'it has no containers'}",
            next_step="./task kind:down, then again: kind's nodes do not come back whole",
        )
    found = [
        (
            str(each["Config"]["Labels"].get(_ROLE_LABEL, "")),
            Node(_name(each), _is_control_plane(each), _address(each, network)),
        )
        for each in containers
    ]
    endpoints = [node.address for role, node in found if role == _ENDPOINT]
    nodes = sorted(
        (node for role, node in found if role != _ENDPOINT),
        key=lambda node: _numbered(node.hostname),
    )
    if not endpoints:
        raise TargetError(
            f"cannot use the kind cluster {name}: it has no load balancer",
            next_step="./task kind:down, then again",
        )
    return Found(
        control_planes=tuple(node for node in nodes if node.is_control_plane),
        workers=tuple(node for node in nodes if not node.is_control_plane),
        endpoint=endpoints[0],
    )


def require_all(found: Found, name: str, wanted: Sequence[bool]) -> None:
    """Make sure that a cluster has the nodes of the definition.

    Args:
        found: What runs.
        name: The cluster.
        wanted: Per node of the definition, whether it is a control plane node.

    Raises:
        TargetError: It has others.
    """
    there, defined = (
        (len(found.control_planes), len(found.workers)),
        (sum(wanted), len(wanted) - sum(wanted)),
    )
    if there != defined:
        raise TargetError(
            f"cannot use the kind cluster {name}: it has {there[0]}+{there[1]} nodes, the definition {defined[0]}+{defined[1]}",
            next_step="./task kind:down, then again",
        )


def _name(container: Mapping[str, Any]) -> str:
    return str(container["Config"]["Hostname"])


def _is_control_plane(container: Mapping[str, Any]) -> bool:
    return str(container["Config"]["Labels"].get(_ROLE_LABEL)) == "control-plane"


def _address(container: Mapping[str, Any], network: str) -> IPv4Address:
    try:
        return IPv4Address(container["NetworkSettings"]["Networks"][network]["IPAddress"])
    except (KeyError, AddressValueError) as error:
        raise TargetError(
            f"cannot use the container {_name(container)}: it has no address on the network {network}",
            next_step="./task kind:down, then again",
        ) from error


def _numbered(hostname: str) -> tuple[str, int]:
    # kind calls them worker, worker2, worker3 ... worker10.
    found = re.fullmatch(r"(.*?)(\d*)", hostname)
    return (found[1], int(found[2] or 1)) if found else (hostname, 1)
