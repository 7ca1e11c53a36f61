"""The networks that this computer already reaches, as the kernel lists them, and the rule that ours must be none of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network

from firstlight.errors import TargetError

_LEAF = re.compile(r"^\s*\|-- (\d+\.\d+\.\d+\.\d+)$")
_PREFIX = re.compile(r"^\s*/(\d+) (\w+) (\w+)$")
_DEFAULT = IPv4Network("0.0.0.0/0")
_LOOPBACK = IPv4Network("127.0.0.0/8")

SUBNET_VARIABLE = "FIRSTLIGHT_DOCKER_SUBNET"


@dataclass(frozen=True, slots=True)
class Route:
    """A destination that the kernel knows.

    Attributes:
        network: Which addresses.
        kind: The kernel's word for it: `UNICAST` for a route, `LOCAL` for an address of this computer.
    """

    network: IPv4Network
    kind: str

    def __str__(self) -> str:
        return (
            f"{self.network.network_address}, an address of this computer"
            if self.kind == "LOCAL"
            else f"{self.network}, a route of this computer"
        )


def read_routes(fib_trie: str) -> tuple[Route, ...]:
    """Return every destination of every table in /proc/net/fib_trie, addresses of this computer included."""
    found: dict[Route, None] = {}
    address = ""
    for line in fib_trie.splitlines():
        if leaf := _LEAF.match(line):
            address = leaf.group(1)
        elif address and (prefix := _PREFIX.match(line)):
            found[Route(IPv4Network(f"{address}/{prefix.group(1)}"), prefix.group(3))] = None
    return tuple(found)


def require_free(
    subnet: IPv4Network,
    routes: Iterable[Route],
    definition: Iterable[IPv4Network],
    variable: str = SUBNET_VARIABLE,
) -> None:
    """Make sure that containers on a subnet hide nothing that this computer, or the definition, knows by these addresses.

    Args:
        subnet: What the node containers are to be on.
        routes: What this computer reaches already.
        definition: The networks of the definition: its real machines, its pods and its services.
        variable: What another one is chosen with.

    Raises:
        TargetError: An address would mean two things; real nodes are never to be shadowed.
    """
    other = f"choose a free network: {variable}=10.99.0.0/24"
    for network in definition:
        if subnet.overlaps(network):
            raise TargetError(
                f"cannot use {subnet} for node containers: the definition itself uses {network}",
                next_step=other,
            )
    for route in routes:
        if (
            route.network != _DEFAULT
            and not route.network.overlaps(_LOOPBACK)
            and subnet.overlaps(route.network)
        ):
            raise TargetError(
                f"cannot use {subnet} for node containers: it overlaps {route}", next_step=other
            )
