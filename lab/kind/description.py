"""What the kind lab says about itself in `lab.json`: where everything is, what it can show, and what only stands in."""

from __future__ import annotations

from firstlight.definition.model import Cluster
from lab.docker.engine import Engine
from lab.simulated import description
from lab.simulated.addresses import Endpoints
from lab.simulated.paths import LabPaths

_KIND = {
    "name": "kind",
    "stands_for": "machines that run Talos",
    "cannot_show": (
        "that Talos, its etcd, its VIP or the hardware work, or how long they take: kubeadm made this cluster in containers before the first action, "
        "and a load balancer of kind's is its endpoint"
    ),
}
_OF_THE_LAB = ("Git server", "op stand-in", "lab secrets")

CAPABILITIES = ("running-pods", "datapath", "helm-controller", "cert-manager")

REASONS = {
    "talos-api": "kind's nodes are no Talos machines: kubeadm made their control plane, and kind wrote the kubeconfig",
    "lasting": "the timing of a cluster without Talos says nothing about real machines",
}


def environment(paths: LabPaths, lab: Endpoints, subnet: str) -> dict[str, str]:
    """Return what a command needs in its environment to work on this lab and nowhere else."""
    return description.environment(paths, paths.cluster, lab, subnet)


def write(
    paths: LabPaths, cluster: Cluster, lab: Endpoints, subnet: str, recipient: str, engine: Engine
) -> None:
    """Write `lab.json` if it says something else."""
    said = description.of_every_lab(paths, lab, recipient) | {
        "engine": {"version": engine.version},
        "subnet": subnet,
        "addresses": {
            "lab": str(lab.address),
            "vip": str(cluster.vip),
            "nodes": {node.hostname: str(node.address) for node in cluster.nodes},
        },
        "stand_ins": [
            _KIND,
            *(stand_in for stand_in in description.STAND_INS if stand_in["name"] in _OF_THE_LAB),
        ],
        "capabilities": list(CAPABILITIES),
        "reasons": REASONS,
        "environment": environment(paths, lab, subnet),
    }
    description.keep(paths, said)
