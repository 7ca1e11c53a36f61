"""The simulated machines of the contract: three control planes and a worker.

They run without the Git server and the charts of a whole lab.
"""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from firstlight.clock import SystemClock
from firstlight.errors import TargetError
from firstlight.files import write_atomically
from firstlight.process import run
from lab.contract.answers import Asking
from lab.contract.material import CLUSTER, NODES, PLACES, Material
from lab.simulated import processes, services
from lab.simulated.addresses import CHARTS_PORT, REGISTRY_PORT
from lab.simulated.machines import TIMINGS, listeners
from lab.simulated.paths import LabPaths, private_dir

_DOWN = {"down": True}
# The faults of each state. A state that is not listed changes nothing.
_FAULTS: dict[str, dict[str, dict[str, bool]]] = {
    "maintenance": {node: _DOWN for node in NODES if node != "cp-1"},
    "booting": {"cp-2": {"not_booted": True}, "cp-3": _DOWN, "worker-1": _DOWN},
    "configured": {},
    "down": {"worker-1": _DOWN},
}
_LABELS = {"k8s-app": "cilium"}
_APPLY_S = 60.0
_AGENTS = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "cilium", "namespace": "kube-system"},
    "spec": {
        "selector": {"matchLabels": _LABELS},
        "template": {
            "metadata": {"labels": _LABELS},
            "spec": {
                "hostNetwork": True,
                "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": "agent", "image": "registry.k8s.io/pause:3.10.1"}],
            },
        },
    },
}


class SimulatedMachines:
    """Simulated machines on loopback addresses of their own."""

    def __init__(self, folder: Path, checkout: Path, network: str) -> None:
        """Prepare the machines.

        `network` is the first three octets of their addresses, like `127.27.1`.
        """
        self._paths = LabPaths(cluster=CLUSTER, state=folder.resolve() / CLUSTER, checkout=checkout)
        self._network = network
        self._material = Material(
            self._paths.state / "material",
            self._paths.tools / "talosctl",
            {k: f"{network}.{v}" for k, v in PLACES.items()},
        )

    @property
    def asking(self) -> Asking:
        """What is needed to ask these machines."""
        material = self._material
        return Asking(material.talosctl, material.talosconfigs, material.places, material.files)

    def start(self) -> None:
        """Start the machines. The first one has no configuration on its disk."""
        for folder in (
            self._paths.state,
            self._paths.run,
            self._paths.logs,
            self._paths.home,
            self._paths.charts,
            self._material.folder,
        ):
            private_dir(folder)
        self._material.make()
        data = self._description()
        write_atomically(self._paths.machines_config, json.dumps(data), mode=0o644)
        disks = {f"{CLUSTER}-cp-1": {"etcd_cluster": "", "wiped": True}}
        write_atomically(
            self._paths.state / "machines-state.json",
            json.dumps({"version": 1, "cluster": CLUSTER, "etcd_clusters": [], "disks": disks}),
            mode=0o644,
        )
        self._set_faults("maintenance")
        service = services.machines(
            self._paths, listeners(data), [self._material.config(node) for node in NODES]
        )
        services.begin(self._paths, service, lambda _text: None)
        services.wait_until_ready(self._paths, service, SystemClock())

    def enter(self, state: str) -> None:
        """Bring the machines into a state."""
        if state in _FAULTS:
            self._set_faults(state)
        if state == "ready":
            self._give_network()

    def _give_network(self) -> None:
        """Run a Cilium agent on every node. Simulated nodes treat it as their network."""
        words: list[str | Path] = [
            self._paths.tools / "kubectl",
            "--kubeconfig",
            self._material.files["scratch"] / "kubeconfig",
        ]
        result = run(
            [*words, "apply", "--filename", "-"], timeout_s=_APPLY_S, input=yaml.safe_dump(_AGENTS)
        )
        result.raise_on_failure("give the machines of the contract a network")

    def stop(self) -> None:
        """End everything that was started."""
        marked = tuple(processes.marked(self._paths.state))
        if left := processes.end(marked, self._paths.state, terminate_s=15.0, kill_s=5.0):
            raise TargetError(
                f"cannot end the simulated machines of the contract: process {left[0]} does not end"
            )

    def _set_faults(self, state: str) -> None:
        nodes = {f"{CLUSTER}-{node}": fault for node, fault in _FAULTS[state].items()}
        write_atomically(
            self._paths.state / "faults.json", json.dumps({"nodes": nodes}), mode=0o644
        )

    def _description(self) -> dict[str, object]:
        places = self._material.places
        return {
            "cluster": CLUSTER,
            "state_dir": str(self._paths.state),
            "vip": places["vip"],
            "endpoint": f"https://{places['vip']}:6443",
            "talos_version": self._material.talos,
            "kubernetes_version": self._material.kubernetes,
            "nodes": [
                {
                    "hostname": f"{CLUSTER}-{node}",
                    "address": places[node],
                    "role": role,
                    "machine_config": str(self._material.config(node)),
                }
                for node, role in NODES.items()
            ],
            "tools_dir": str(self._paths.tools),
            "lab_address": f"{self._network}.1",
            "registry_port": REGISTRY_PORT,
            "charts_port": CHARTS_PORT,
            "charts_dir": str(self._paths.charts),
            "service_cidr": "10.96.0.0/12",
            "pod_cidr": "10.244.0.0/16",
            "flux_controllers": [],
            "timings": TIMINGS,
        }
