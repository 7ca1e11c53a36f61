"""The lab's mirror: images and charts that were built here, offered to the machines on this computer's address of their network."""

from __future__ import annotations

from collections.abc import Mapping

from lab.docker import charts
from lab.docker.definition import CHARTS_REGISTRY_PORT, MIRROR_PORT
from lab.docker.engine import Engine
from lab.docker.images import image_set
from lab.simulated import charts as packaging
from lab.simulated import services
from lab.simulated.addresses import CHARTS_PORT, Endpoints
from lab.simulated.machines import BINARY, digest_of
from lab.simulated.paths import LabPaths
from lab.simulated.ports import Listener
from lab.simulated.services import Service

_LOAD_S = 300.0
"""A node image of some hundred megabytes is unpacked in ten seconds on an idle disk."""


class Mirror:
    """The images that `./task lab:images` built, and the charts that go with them.

    Raises:
        TargetError: The images are not all there; the message says how to build them.
    """

    def __init__(self, paths: LabPaths) -> None:
        self._paths = paths
        self._images = image_set()

    @property
    def node_image(self) -> str:
        """The machines' own image, as the engine knows it once it is loaded."""
        return self._images.node.reference

    def package_charts(self, environment: Mapping[str, str]) -> bool:
        """Put the packaged charts into the lab; report whether that had to be done."""
        return packaging.package(
            self._paths, charts.folders(self._paths.checkout, self._paths.tool_charts), environment
        )

    def services(self, lab: Endpoints) -> list[Service]:
        """Describe the servers of images and charts."""
        return [self._registry(lab), self._charts(lab)]

    def load_node_image(self, engine: Engine) -> bool:
        """Have the machines' own image in the engine; report whether it had to be loaded.

        Raises:
            ToolFailed: The engine does not take it.
        """
        node = self._images.node
        if node.identifier in {
            str(each["Id"]) for each in engine.inspect("image", [node.reference])
        }:
            return False
        engine.call("load", "--input", str(node.archive), timeout_s=_LOAD_S).raise_on_failure(
            f"load {node.reference} into the engine"
        )
        return True

    def stand_ins(self) -> list[dict[str, str]]:
        """Return what stands in for what."""
        mine = {
            "name": "images built on this computer",
            "stands_for": "the published images of Talos, Kubernetes, Cilium, CoreDNS and Flux",
            "cannot_show": "that the published images can be pulled, and that they work: these hold the same programs, and little of Debian or nothing besides",
        }
        others = [
            {
                "name": f"stand-in image {image.reference}",
                "stands_for": image.stands_for,
                "cannot_show": f"that this very program works: {image.stands_for} cannot be built from package registries",
            }
            for image in self._images.images
            if image.stands_for is not None
        ]
        return [mine, *others]

    def _registry(self, lab: Endpoints) -> Service:
        address = str(lab.address)
        argv = self._images.registry_command(address, MIRROR_PORT)
        stamp = digest_of([self._images.registry, self._images.config], argv)
        listener = Listener("the images' registry", address, MIRROR_PORT)
        return Service(
            "registry", tuple(argv), services.surroundings(self._paths), None, stamp, (listener,)
        )

    def _charts(self, lab: Endpoints) -> Service:
        program, ready = self._paths.tools / BINARY, self._paths.run / "charts.ready"
        ports = {
            "the OCI registry of the charts": CHARTS_REGISTRY_PORT,
            "the Helm repository": CHARTS_PORT,
        }
        listeners = tuple(Listener(name, str(lab.address), port) for name, port in ports.items())
        argv = [
            str(program),
            "--charts",
            str(self._paths.charts),
            "--address",
            str(lab.address),
            "--registry-port",
            str(CHARTS_REGISTRY_PORT),
        ]
        argv += ["--repository-port", str(CHARTS_PORT), "--ready", str(ready)]
        stamp = digest_of([program.resolve(), self._paths.charts / packaging.MARK], argv)
        return Service(
            "charts", tuple(argv), services.surroundings(self._paths), ready, stamp, listeners
        )
