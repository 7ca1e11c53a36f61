"""This host: its user, its capabilities, its control groups, and the networks that it reaches."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from firstlight.errors import TargetError

_SYS_RESOURCE = 24
"""The bit of CAP_SYS_RESOURCE in the kernel's capability masks (linux/capability.h)."""

_LEAF = re.compile(r"^\s*\|-- (\d+\.\d+\.\d+\.\d+)$")
_PREFIX = re.compile(r"^\s*/(\d+) (\w+) (\w+)$")


@dataclass(frozen=True, slots=True)
class Route:
    """A destination in the kernel's routing tables.

    Attributes:
        network: The addresses.
        kind: The kernel's name for it: `UNICAST` for a route, `LOCAL` for an address of this host.
    """

    network: IPv4Network
    kind: str

    def __str__(self) -> str:
        return (
            f"{self.network.network_address}, an address of this computer"
            if self.kind == "LOCAL"
            else f"{self.network}, a route of this computer"
        )


@dataclass(frozen=True, slots=True)
class Host:
    """This host.

    Attributes:
        is_root: Whether we run as root.
        is_restricted: Whether even root lacks CAP_SYS_RESOURCE. Such a host refuses privileged
            containers and lower oom scores.
        cgroup_version: 2 if the unified hierarchy holds all controllers, else 1 (also for hybrid
            hosts).
        routes: Every network and address that this host knows.
    """

    is_root: bool
    is_restricted: bool
    cgroup_version: int
    routes: tuple[Route, ...]

    def owns(self, address: IPv4Address) -> bool:
        """Report whether an address belongs to this host."""
        network = IPv4Network(address)
        return any(route.kind == "LOCAL" and route.network == network for route in self.routes)


def read_host(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> Host:
    """Read the state of this host."""
    is_root = os.geteuid() == 0
    bounding = _bounding_set(
        (proc / "self" / "status").read_text(encoding="ascii", errors="replace")
    )
    return Host(
        is_root=is_root,
        is_restricted=is_root and not bounding >> _SYS_RESOURCE & 1,
        cgroup_version=2 if (cgroup / "cgroup.controllers").exists() else 1,
        routes=read_routes((proc / "net" / "fib_trie").read_text(encoding="ascii")),
    )


def require_linux(target: str) -> None:
    """Make sure that containers are reachable from here.

    Raises:
        TargetError: This is not Linux.
    """
    if sys.platform != "linux":
        raise TargetError(
            f"cannot bring up the {target} target on {sys.platform}: node containers must be "
            "reachable from here, and an engine in a virtual machine hides them",
            next_step="run it on Linux, or inside a Linux virtual machine",
        )


def read_routes(fib_trie: str) -> tuple[Route, ...]:
    """Return every destination in /proc/net/fib_trie, including this host's own addresses."""
    found: dict[Route, None] = {}
    address = ""
    for line in fib_trie.splitlines():
        if leaf := _LEAF.match(line):
            address = leaf.group(1)
        elif address and (prefix := _PREFIX.match(line)):
            found[Route(IPv4Network(f"{address}/{prefix.group(1)}"), prefix.group(3))] = None
    return tuple(found)


def _bounding_set(status: str) -> int:
    return next(
        (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapBnd:")), 0
    )
