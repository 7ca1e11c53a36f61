"""The lab's mirror: images and charts that were built here, offered to the machines on this computer's address of their network."""

from __future__ import annotations

from collections.abc import Mapping

from lab.docker.definition import CHARTS_REGISTRY_PORT, MIRROR_PORT
from lab.docker.engine import Engine
from lab.simulated import charts as simulated_charts
from lab.simulated import services
from lab.simulated.addresses import CHARTS_PORT, Endpoints
from lab.simulated.machines import BINARY, digest_of
from lab.simulated.paths import LabPaths
from lab.simulated.ports import Listener
from lab.simulated.services import Service


class Mirror:
    """The images that `./task lab:images` built, and the charts that go with them."""

    def __init__(self, paths: LabPaths) -> None:
        self._paths = paths

    def require_complete(self) -> None:
        """Make sure that every image is there.

        Raises:
            TargetError: One is missing; the message says how to build it.
        """

    def package_charts(self, environment: Mapping[str, str]) -> bool:
        """Put the packaged charts into the lab; report whether that had to be done."""
        return simulated_charts.package(self._paths, environment)

    def services(self, lab: Endpoints) -> list[Service]:
        """Describe the servers of images and charts."""
        return [self._charts(lab)]

    def load_node_image(self, engine: Engine, image: str) -> bool:
        """Have the machines' own image in the engine; report whether it had to be loaded."""
        return False

    def stand_ins(self) -> list[dict[str, str]]:
        """Return what stands in for what."""
        return []

    def lacking(self) -> set[str]:
        """Return the capabilities that a lab on this mirror does not have."""
        return set()

    def reasons(self) -> dict[str, str]:
        """Return why those capabilities are lacking."""
        return {}

    def _charts(self, lab: Endpoints) -> Service:
        program, ready = self._paths.tools / BINARY, self._paths.run / "charts.ready"
        ports = {"the OCI registry of the charts": CHARTS_REGISTRY_PORT, "the Helm repository": CHARTS_PORT}
        listeners = tuple(Listener(name, str(lab.address), port) for name, port in ports.items())
        argv = [str(program), "--charts", str(self._paths.charts), "--address", str(lab.address), "--registry-port", str(CHARTS_REGISTRY_PORT)]
        argv += ["--repository-port", str(CHARTS_PORT), "--ready", str(ready)]
        stamp = digest_of([program.resolve(), self._paths.charts / simulated_charts.MARK], argv)
        return Service("charts", tuple(argv), services.surroundings(self._paths), ready, stamp, listeners)


_ = MIRROR_PORT
