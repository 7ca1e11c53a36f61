"""The source of images and charts: their own registries, or the lab's mirror of local builds.

The mirror listens on this host's address of the machines' network.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from firstlight.errors import TargetError
from firstlight.toolbox import Pins
from lab.docker.engine import Engine
from lab.docker.images import image_set
from lab.docker.settings import IMAGES_VARIABLE, Settings
from lab.simulated import charts, services
from lab.simulated.addresses import CHARTS_PORT, Endpoints
from lab.simulated.machines import BINARY, digest_of
from lab.simulated.paths import LabPaths
from lab.simulated.ports import Listener
from lab.simulated.services import Service

CHARTS_REGISTRY_PORT = 5001
MIRROR_PORT = 5000
MIRRORED = ("registry.k8s.io", "ghcr.io", "quay.io", "docker.io", "gcr.io")
CILIUM = "cilium"

PROBES = ("https://registry.k8s.io/v2/", "https://ghcr.io/v2/", "https://quay.io/v2/")
"""Registries that every machine needs: Kubernetes', Talos' and Cilium's."""

_PROBE_S = 5.0
_LOAD_S = 300.0
"""Unpacking a node image of some hundred megabytes takes ten seconds on an idle disk."""

_OUTSIDE = "!/pod-to-(world|cidr)"
"""The scenarios that leave the cluster, as a pattern to skip; the CLI reports "skipped by user"."""


def is_offline(settings: Settings) -> bool:
    """Report whether images come from the lab's mirror; with `auto`, probe the registries.

    Raises:
        TargetError: The registries were chosen, and one does not answer.
    """
    if settings.images == "mirror":
        return True
    silent = [url for url in PROBES if not _answers(url)]
    if silent and settings.images == "registries":
        raise TargetError(
            f"cannot take images from their registries: no answer from {', '.join(silent)}",
            next_step="fix the connection, or build the images once: ./task lab:images, then "
            f"{IMAGES_VARIABLE}=mirror",
        )
    return bool(silent)


class Mirror:
    """The images that `./task lab:images` built, and the charts that go with them.

    Raises:
        TargetError: The image set is incomplete; the message says how to build it.
    """

    def __init__(self, paths: LabPaths) -> None:
        self._paths = paths
        self._images = image_set()

    @property
    def node_image(self) -> str:
        """The reference of the machines' image, once the engine has loaded it."""
        return self._images.node.reference

    def package_charts(self, environment: Mapping[str, str]) -> bool:
        """Put the packaged charts into the lab; report whether anything had to be packaged."""
        folders = chart_folders(self._paths.checkout, self._paths.tool_charts)
        return charts.package(self._paths, folders, environment)

    def services(self, lab: Endpoints) -> list[Service]:
        """Return the servers of images and charts."""
        return [self._registry(lab), self._charts(lab)]

    def load_node_image(self, engine: Engine) -> bool:
        """Load the machines' image into the engine; report whether it was missing.

        Raises:
            ToolFailed: The engine rejects it.
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
            "cannot_show": "that the published images can be pulled, and that they work: these "
            "hold the same programs, with little or nothing of Debian around them",
        }
        others = [
            {
                "name": f"stand-in image {image.reference}",
                "stands_for": image.stands_for,
                "cannot_show": f"that this very program works: {image.stands_for} cannot be built "
                "from package registries",
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
            "registry",
            tuple(argv),
            services.process_environment(self._paths),
            None,
            stamp,
            (listener,),
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
            *("--charts", str(self._paths.charts)),
            *("--address", str(lab.address)),
            *("--registry-port", str(CHARTS_REGISTRY_PORT)),
            *("--repository-port", str(CHARTS_PORT)),
            *("--ready", str(ready)),
        ]
        stamp = digest_of([program.resolve(), self._paths.charts / charts.MARK], argv)
        return Service(
            "charts",
            tuple(argv),
            services.process_environment(self._paths),
            ready,
            stamp,
            listeners,
        )


def mirror_documents(
    gateway: IPv4Address, registries: Iterable[str] = MIRRORED
) -> list[dict[str, Any]]:
    """Return Talos' registry mirror configuration, as the operator of an offline site writes it."""
    endpoint = {"url": f"http://{gateway}:{MIRROR_PORT}"}
    return [
        {
            "apiVersion": "v1alpha1",
            "kind": "RegistryMirrorConfig",
            "name": name,
            "endpoints": [endpoint],
            "skipFallback": True,
        }
        for name in registries
    ]


def chart_folders(checkout: Path, tool_charts: Path) -> list[Path]:
    """Return the folders of the charts to package: Cilium's real chart, stand-ins for the others.

    Args:
        checkout: The checkout that holds the stand-ins, whose pods really run here.
        tool_charts: The folder into which setup unpacks the real chart.

    Raises:
        TargetError: Setup did not unpack it.
    """
    real = tool_charts / CILIUM
    if not (real / "Chart.yaml").exists():
        raise TargetError(
            f"cannot package Cilium's chart: {real} does not hold it",
            next_step="./task tools:setup",
        )
    return [real, *(folder for folder in charts.stand_ins(checkout) if folder.name != CILIUM)]


def connectivity(pins: Pins) -> dict[str, Any]:
    """Return how Cilium's connectivity test runs on mirrored images.

    Returns:
        The CLI's flags, and the reason for each thing that this target lacks, by the CLI's words.
    """
    flags = {
        "--curl-image": pins.images["client"],
        "--json-mock-image": pins.images["json-mock"],
        "--dns-test-server-image": f"docker.io/coredns/coredns:{pins.tools['coredns'].version}",
        "--ip-families": "ipv4",
        "--test": _OUTSIDE,
    }
    lacks = {
        "skipped by user": "the machines reach no network but their own: this computer forwards "
        "none of their packets",
        "l7-proxy": "Envoy cannot be built from package registries",
        "node-without-cilium": "every machine of the definition runs Cilium, so none is outside it",
    }
    return {"flags": [word for flag in flags.items() for word in flag], "lacks": lacks}


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=_PROBE_S):  # noqa: S310 - the addresses above
            return True
    except urllib.error.HTTPError:
        # It asks for a token first, so it is reachable.
        return True
    except OSError:
        return False
