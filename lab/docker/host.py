"""What this computer allows: its user, its capabilities, and the form of its control groups."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lab.docker.routes import Route, read_routes

_SYS_RESOURCE = 24
"""The bit of CAP_SYS_RESOURCE in the kernel's capability masks (linux/capability.h)."""


@dataclass(frozen=True, slots=True)
class Host:
    """This computer.

    Attributes:
        is_root: Whether we are root here.
        is_restricted: Whether root itself lacks CAP_SYS_RESOURCE: such a host refuses privileged containers and lower oom scores.
        cgroup_version: 2 where the unified hierarchy holds all controllers, else 1 (hybrid hosts included).
        routes: Every network and address that this computer knows.
    """

    is_root: bool
    is_restricted: bool
    cgroup_version: int
    routes: tuple[Route, ...]


def read_host(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> Host:
    """Look at this computer."""
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


def _bounding_set(status: str) -> int:
    return next(
        (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapBnd:")), 0
    )
