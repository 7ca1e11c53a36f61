"""What a kind lab reports: `lab.json` for the target, status and logs for people."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from firstlight.definition.model import Cluster
from lab.docker.engine import Engine
from lab.docker.status import (
    current_engine,
    describe,
    heading,
    with_common_stand_ins,
    with_consoles,
)
from lab.kind.cluster import CLUSTER_LABEL, kind_of
from lab.simulated import description, processes
from lab.simulated.addresses import Endpoints
from lab.simulated.paths import LabPaths
from lab.simulated.status import Status

CAPABILITIES = ("running-pods", "datapath", "helm-controller", "cert-manager")

REASONS = {
    "talos-api": "kind's nodes are no Talos machines: kubeadm made their control plane, and kind "
    "wrote the kubeconfig",
    "lasting": "the timing of a cluster without Talos says nothing about real machines",
}

_KIND = {
    "name": "kind",
    "stands_for": "machines that run Talos",
    "cannot_show": "that Talos, its etcd, its VIP or the hardware work, or how long they take: "
    "kubeadm made this cluster in containers before the first action, and its endpoint is kind's "
    "load balancer",
}


def write_description(
    paths: LabPaths, cluster: Cluster, lab: Endpoints, subnet: str, recipient: str, engine: Engine
) -> None:
    """Write `lab.json` if its content changed."""
    content = describe(paths, cluster, lab, subnet, recipient, engine) | {
        "stand_ins": with_common_stand_ins(_KIND),
        "capabilities": list(CAPABILITIES),
        "reasons": REASONS,
    }
    description.save(paths, content)


def observe(paths: LabPaths) -> Status:
    """Check a lab without changing anything."""
    engine = current_engine(paths)
    nodes = _containers(engine, paths)
    git = processes.running(paths, "git-server")
    is_up = (
        paths.description.exists()
        and bool(nodes)
        and all(each["State"]["Running"] for each in nodes)
        and git is not None
    )
    states = sorted((str(each["Config"]["Hostname"]), each["State"]["Status"]) for each in nodes)
    return Status(
        is_up,
        (
            *heading(paths, engine, {"git-server": git}, is_up=is_up),
            *(f"  node       {name:<40} {state}" for name, state in states),
        ),
    )


def tails(paths: LabPaths, name: str, lines: int) -> Iterator[str]:
    """Yield the last lines of the lab's logs and its nodes' consoles.

    Raises:
        TargetError: There is no such log.
    """
    engine = current_engine(paths)
    yield from with_consoles(engine, _containers(engine, paths), paths, name, lines)


def _containers(engine: Engine | None, paths: LabPaths) -> list[dict[str, Any]]:
    if engine is None:
        return []
    return engine.containers(f"{CLUSTER_LABEL}={kind_of(paths, os.environ).name}")
