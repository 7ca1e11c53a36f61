"""What the docker lab says about itself in `lab.json`: where everything is, what it can show, and what only stands in."""

from __future__ import annotations

from firstlight.definition.model import Cluster
from firstlight.toolbox import load_pins
from lab.docker.connectivity import connectivity
from lab.docker.engine import Engine
from lab.docker.mirror import Mirror
from lab.docker.settings import Settings
from lab.simulated import description
from lab.simulated.addresses import Endpoints
from lab.simulated.paths import LabPaths

_CONTAINERS = {
    "name": "machines in containers",
    "stands_for": "machines of one's own hardware",
    "cannot_show": "that disks, bond and LACP, time synchronisation, upgrades and resets work: the machines share this computer's kernel and clock",
}
_OF_THE_LAB = ("Git server", "op stand-in", "lab secrets")

CAPABILITIES = ("talos-api", "running-pods", "datapath", "helm-controller", "lasting")
FROM_REGISTRIES = ("cert-manager",)
"""What takes images that cannot be built here."""


def environment(paths: LabPaths, lab: Endpoints, settings: Settings) -> dict[str, str]:
    """Return what a command needs in its environment to work on this lab and nowhere else."""
    return description.environment(paths, paths.cluster, lab, settings.subnet)


def write(
    paths: LabPaths,
    cluster: Cluster,
    lab: Endpoints,
    settings: Settings,
    recipient: str,
    engine: Engine,
    mirror: Mirror | None,
) -> None:
    """Write `lab.json` if it says something else."""
    said = description.of_every_lab(paths, lab, recipient) | {
        "talosconfig": str(cluster.talosconfig),
        "engine": {"version": engine.version, "own": engine.is_ours},
        "nodes": settings.nodes,
        "subnet": settings.subnet,
        "images": "mirror" if mirror is not None else "registries",
        "addresses": {
            "lab": str(lab.address),
            "vip": str(cluster.vip),
            "nodes": {node.hostname: str(node.address) for node in cluster.nodes},
        },
        "stand_ins": [
            _CONTAINERS,
            *(mirror.stand_ins() if mirror else []),
            *(s for s in description.STAND_INS if s["name"] in _OF_THE_LAB),
        ],
        "capabilities": [*CAPABILITIES, *(() if mirror else FROM_REGISTRIES)],
        "connectivity": connectivity(load_pins(paths.checkout / "tools" / "versions.toml"))
        if mirror
        else {},
        "environment": environment(paths, lab, settings),
    }
    description.keep(paths, said)
