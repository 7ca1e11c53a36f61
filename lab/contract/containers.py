"""The real machines of the contract: Talos in containers, in a lab of their own.

They use the docker target's engine, images and network code.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from firstlight.clock import SystemClock
from firstlight.files import write_atomically
from lab.contract.answers import Asking
from lab.contract.material import CLUSTER, NODES, PLACES, Material
from lab.docker import ending, machines, network, private_engine
from lab.docker.definition import Circumstances, container_documents
from lab.docker.engine import Engine
from lab.docker.host import read_host
from lab.docker.mirror import Mirror, is_offline
from lab.docker.settings import SUBNET_VARIABLE, Settings
from lab.simulated import services
from lab.simulated.addresses import Endpoints
from lab.simulated.paths import LabPaths, private_dir

_RUN_S = 120.0
_MTU = 1500

# Files are written before the last boot phase. One that cannot be written delays it by five
# minutes.
_HELD_UP = {
    "machine": {
        "files": [{"op": "append", "path": "/var/nosuchfile", "content": "x", "permissions": 0o644}]
    }
}


class ContainerMachines:
    """Real machines in containers: three control planes and a worker."""

    def __init__(
        self, paths: LabPaths, chosen: Settings, say: Callable[[str], None], raw: Path
    ) -> None:
        """Prepare the machines. Raw answers are saved to `raw`."""
        self._paths, self._subnet, self._say, self._raw = paths, chosen.network, say, raw
        self._host = read_host()
        self._offline = is_offline(chosen)
        self._here = Circumstances(chosen, self._host.cgroup_version, self._offline)
        places = {
            name: str(self._subnet.network_address + number) for name, number in PLACES.items()
        }
        self._material = Material(paths.state / "material", paths.tools / "talosctl", places)
        self._image = f"ghcr.io/siderolabs/talos:{self._material.talos}"
        self._engine: Engine

    @property
    def asking(self) -> Asking:
        """What is needed to ask these machines."""
        material = self._material
        return Asking(
            material.talosctl, material.talosconfigs, material.places, material.files, raw=self._raw
        )

    @property
    def origin(self) -> str:
        """A description of the machines that answered."""
        images = "images built here" if self._offline else "published images"
        return (
            f"machined of Talos {self._material.talos} "
            f"in containers of Docker Engine {self._engine.version}, {images}"
        )

    def start(self) -> None:
        """Create engine, network, images and configurations, but no machines yet."""
        for folder in (
            self._paths.state,
            self._paths.run,
            self._paths.logs,
            self._paths.home,
            self._material.folder,
        ):
            private_dir(folder)
        self._engine = private_engine.engine_for(self._paths, self._host, self._say, SystemClock())
        name, label = ending.network_name(self._paths), str(self._paths.state)
        if not self._engine.inspect("network", [name]):
            network.require_free(
                self._subnet,
                self._host.routes,
                [IPv4Network("10.96.0.0/12"), IPv4Network("10.244.0.0/16")],
                SUBNET_VARIABLE,
            )
        network.ensure(
            self._engine,
            name,
            label,
            self._subnet,
            _MTU,
            ended_by=f"./task docker:down CLUSTER={CLUSTER}",
        )
        if self._offline:
            self._serve_images()
        documents = [
            document
            for document in container_documents(self._here)
            if document.get("kind") != "TimeSyncConfig"
        ]
        self._material.make(documents)
        self._material.write_config(
            "cp-2", self._material.folder / "held-up.yaml", [*documents, _HELD_UP]
        )

    def enter(self, state: str) -> None:
        """Bring the machines into a state."""
        match state:
            case "maintenance":
                self._run("cp-1", None)
            case "booting":
                self._run("cp-2", self._material.folder / "held-up.yaml")
            case "configured":
                self._remove("cp-2")
                for node in ("cp-2", "cp-3", "worker-1"):
                    self._run(node, self._material.config(node))
            case "ready":
                for number, node in enumerate(NODES):
                    self._give_network(node, number)
            case "down":
                self._engine.call("kill", self._machine("worker-1", "").container).raise_on_failure(
                    "cut the worker's power"
                )
            case _:
                pass

    def stop(self) -> None:
        """Remove everything, including the state folder."""
        ending.end_lab(self._paths, self._say, SystemClock())

    def _serve_images(self) -> None:
        mirror = Mirror(self._paths)
        mirror.load_node_image(self._engine)
        self._image = mirror.node_image
        lab = Endpoints(network.gateway_of(self._subnet), serves_charts=False)
        for service in mirror.services(lab):
            if service.name == "registry":
                services.begin(self._paths, service, self._say)
                services.wait_until_ready(self._paths, service, SystemClock())

    def _machine(self, node: str, config: str) -> machines.Machine:
        return machines.Machine(
            f"{CLUSTER}-{node}", IPv4Address(self._material.places[node]), config
        )

    def _run(self, node: str, config: Path | None) -> None:
        """Start a machine, with its configuration if there is one."""
        machine = self._machine(node, config.read_text(encoding="utf-8") if config else "")
        machines.start(
            self._engine,
            machine,
            image=self._image,
            network=ending.network_name(self._paths),
            label=str(self._paths.state),
        )

    def _remove(self, node: str) -> None:
        machine = self._machine(node, "")
        words = ["rm", "--force", "--volumes", machine.container]
        self._engine.call(*words, timeout_s=_RUN_S).raise_on_failure(
            f"remove the machine {machine.hostname}"
        )

    def _give_network(self, node: str, number: int) -> None:
        """Install a plain bridge as CNI, which is enough for the kubelet to report a ready node."""
        file = self._material.folder / "10-contract.conflist"
        ipam = {"type": "host-local", "ranges": [[{"subnet": f"10.244.{number}.0/24"}]]}
        bridge = {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "ipMasq": False,
            "ipam": ipam,
        }
        write_atomically(
            file,
            json.dumps({"cniVersion": "1.0.0", "name": "contract", "plugins": [bridge]}),
            mode=0o644,
        )
        target = f"{self._machine(node, '').container}:/etc/cni/net.d/{file.name}"
        self._engine.call("cp", str(file), target).raise_on_failure(f"give {node} a network")
