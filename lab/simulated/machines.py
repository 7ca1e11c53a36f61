"""Configure the simulated machines: addresses, machine configs and the lab's services."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from firstlight.definition.model import Cluster
from firstlight.files import write_atomically
from lab.simulated.addresses import CHARTS_PORT, REGISTRY_PORT, Endpoints
from lab.simulated.paths import LabPaths
from lab.simulated.ports import Listener

BINARY = "simulated-machines"
TALOS_PORT = 50000
KUBERNETES_PORT = 6443

FLUX_CONTROLLERS = ("source-controller", "kustomize-controller", "helm-controller")

TIMINGS = {"boot_s": 0.5, "etcd_s": 0.5, "join_s": 0.5}
"""Long enough that no test can rely on an immediate state, short enough for a fast rehearsal."""


def configuration(paths: LabPaths, cluster: Cluster, lab: Endpoints) -> dict[str, object]:
    """Return the content of `machines.json`."""
    return {
        "cluster": cluster.name,
        "state_dir": str(paths.state),
        "vip": str(cluster.vip),
        "endpoint": cluster.endpoint,
        "talos_version": cluster.talos_version,
        "kubernetes_version": cluster.kubernetes_version,
        "nodes": [
            {
                "hostname": node.hostname,
                "address": str(node.address),
                "role": node.role.value,
                "machine_config": str(cluster.machine_config(node)),
            }
            for node in cluster.nodes
        ],
        "tools_dir": str(paths.tools),
        "lab_address": str(lab.address),
        "registry_port": REGISTRY_PORT,
        "charts_port": CHARTS_PORT,
        "charts_dir": str(paths.charts),
        "service_cidr": str(cluster.service_networks[0]),
        "pod_cidr": str(cluster.pod_networks[0]),
        "flux_controllers": _controllers(paths),
        "faults_file": str(paths.state / "faults.json"),
        "timings": TIMINGS,
    }


def write_configuration(paths: LabPaths, data: Mapping[str, object]) -> None:
    """Write `machines.json` if its content changes."""
    text = json.dumps(data, indent=2) + "\n"
    if (
        not paths.machines_config.exists()
        or paths.machines_config.read_text(encoding="utf-8") != text
    ):
        write_atomically(paths.machines_config, text, mode=0o644)


def inventory_digest(paths: LabPaths, cluster: str) -> str:
    """Return a digest of everything that machine configs and `machines.json` are generated from."""
    talos = paths.tree / "clusters" / cluster / "talos"
    files = [
        file
        for file in sorted(talos.rglob("*"))
        if file.is_file() and "clusterconfig" not in file.relative_to(talos).parts
    ]
    words = [str(paths.tools), json.dumps(TIMINGS), *_controllers(paths)]
    return digest_of([*files, (paths.tools / "talosctl").resolve()], words)


def digest_of(files: Sequence[Path], words: Sequence[str] = ()) -> str:
    """Return a digest of words and files.

    Files count by content, except programs: those count by size and time, which is faster.
    """
    total = hashlib.sha256("\0".join(words).encode())
    for file in files:
        status = file.stat() if file.exists() else None
        total.update(f"\0{file}\0".encode())
        if status is None:
            continue
        is_program = status.st_mode & 0o111
        total.update(
            f"{status.st_size} {status.st_mtime_ns}".encode() if is_program else file.read_bytes()
        )
    return total.hexdigest()


def listeners(data: Mapping[str, object]) -> tuple[Listener, ...]:
    """Return every address and port in `machines.json` on which the simulated machines listen."""
    nodes = data["nodes"]
    if not isinstance(nodes, list):
        return ()
    lab, vip = str(data["lab_address"]), str(data["vip"])
    control_plane = [node for node in nodes if node["role"] == "controlplane"]
    return (
        Listener("the OCI registry", lab, REGISTRY_PORT),
        Listener("the Helm repository", lab, CHARTS_PORT),
        *(
            Listener(
                f"the Talos API of {node['hostname']}", node["address"], TALOS_PORT, essential=False
            )
            for node in nodes
        ),
        Listener("the Talos API of the VIP", vip, TALOS_PORT, essential=False),
        Listener("the Kubernetes API of the VIP", vip, KUBERNETES_PORT, essential=False),
        *(
            Listener(
                f"the Kubernetes API of {node['hostname']}",
                node["address"],
                KUBERNETES_PORT,
                essential=False,
            )
            for node in control_plane
        ),
    )


def _controllers(paths: LabPaths) -> list[str]:
    return [name for name in FLUX_CONTROLLERS if (paths.tools / name).exists()]
