"""The content of each image in the set."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.docker.images import contents
from lab.docker.images.layers import Entry
from lab.docker.images.layout import Start

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from firstlight.toolbox import Pins
    from lab.docker.images.contents import Ingredients

_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
_PASSWD = (
    b"root:x:0:0:root:/root:/sbin/nologin\n"
    b"nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
    b"nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
)
_GROUP = b"root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n"


# Programs that no package registry has, and the default behaviour of each stand-in: listen or exit.
_STAND_INS = {
    "Spegel": ("--once", "configuration"),
    "cert-manager-controller": ("--http", "9402", "--http", "9403"),
    "cert-manager-webhook": ("--http", "6080", "--http", "9402", "--https", "10250"),
    "cert-manager-cainjector": ("--http", "9402"),
    "notification-controller": (
        "--http",
        "8080",
        "--http",
        "9090",
        "--http",
        "9292",
        "--http",
        "9440",
    ),
}


class Under(enum.Enum):
    """The layers below an image's own layer."""

    STATIC = "static"
    """Almost nothing, for programs without dependencies."""
    BASE = "base"
    """The Debian root."""
    COMPILER = "compiler"
    """The Debian root with the compiler of eBPF programs."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image.

    Attributes:
        reference: Its full name.
        under: The layers below its own.
        programs: For each path in the image, the tool of versions.toml.
        start: How it starts.
        more: Its other files.
        stands_for: The program that it stands in for; None for the real program.
    """

    reference: str
    under: Under
    programs: Mapping[str, str]
    start: Start
    more: tuple[Entry, ...] = field(default=())
    stands_for: str | None = None


def static_entries(root: Path) -> list[Entry]:
    """Return what every program expects: certificates, user names, a folder for temporary files."""
    return [
        Entry("etc/passwd", data=_PASSWD, mode=0o644),
        Entry("etc/group", data=_GROUP, mode=0o644),
        Entry("etc/nsswitch.conf", data=b"hosts: files dns\n", mode=0o644),
        Entry(_CERTIFICATES, source=root / _CERTIFICATES, mode=0o644),
        Entry("tmp", folder=True, mode=0o1777),
        Entry("home/gops", folder=True, mode=0o777),
    ]


def node_recipe(pins: Pins, got: Ingredients) -> Recipe:
    """Return the machines' own image."""
    reference = f"ghcr.io/siderolabs/talos:v{pins.tools['machined'].version}"
    start = Start(entrypoint=(contents.MACHINE_ENTRYPOINT,))
    more = tuple(contents.machine_entries(got))
    return Recipe(reference, Under.BASE, contents.MACHINE_PROGRAMS, start, more)


def recipes(pins: Pins, got: Ingredients) -> list[Recipe]:
    """Return all images of the set, in the order in which a bootstrap pulls them."""
    return [
        node_recipe(pins, got),
        *_kubernetes(pins),
        *_flux(pins),
        *_cilium(pins, got),
        *_connectivity(pins.images),
        *(_stand_in(what, pins.images[what], words) for what, words in _STAND_INS.items()),
    ]


def _kubernetes(pins: Pins) -> list[Recipe]:
    version = {name: tool.version for name, tool in pins.tools.items()}
    servers = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    return [
        Recipe(
            f"registry.k8s.io/pause:{version['pause']}",
            Under.STATIC,
            {"pause": "pause"},
            Start(("/pause",)),
            stands_for="the pause program in C",
        ),
        Recipe(
            f"ghcr.io/siderolabs/kubelet:v{version['kubelet']}",
            Under.BASE,
            {"usr/local/bin/kubelet": "kubelet"},
            Start(("/usr/local/bin/kubelet",)),
        ),
        Recipe(
            f"registry.k8s.io/etcd:v{version['etcd']}",
            Under.STATIC,
            {"usr/local/bin/etcd": "etcd"},
            Start(),
        ),
        *(
            Recipe(
                f"registry.k8s.io/{name}:v{version[name]}",
                Under.STATIC,
                {f"usr/local/bin/{name}": name},
                Start((f"/usr/local/bin/{name}",)),
            )
            for name in servers
        ),
        Recipe(
            f"docker.io/coredns/coredns:{version['coredns']}",
            Under.STATIC,
            {"coredns": "coredns"},
            Start(("/coredns",)),
        ),
    ]


def _flux(pins: Pins) -> list[Recipe]:
    return [
        _controller(name, pins.tools[name].version, pins.images[name])
        for name in ("source-controller", "kustomize-controller", "helm-controller")
    ]


def _controller(name: str, version: str, reference: str) -> Recipe:
    # A release that the Go module proxy lacks is replaced by the newest earlier one.
    shipped = reference.rpartition(":v")[2]
    stands_for = (
        None if version == shipped else f"{name} {shipped}, of which version {version} runs here"
    )
    start = Start((f"/usr/local/bin/{name}",), user="65534:65534")
    return Recipe(
        reference, Under.STATIC, {f"usr/local/bin/{name}": name}, start, stands_for=stands_for
    )


def _cilium(pins: Pins, got: Ingredients) -> list[Recipe]:
    tag = f"v{pins.tools['cilium-agent'].version}"
    gops = {"GOPS_CONFIG_DIR": "/home/gops"}
    return [
        Recipe(
            f"quay.io/cilium/cilium:{tag}",
            Under.COMPILER,
            contents.AGENT_PROGRAMS,
            contents.AGENT_START,
            tuple(contents.agent_entries(got)),
        ),
        Recipe(
            f"quay.io/cilium/operator-generic:{tag}",
            Under.STATIC,
            {"usr/bin/cilium-operator-generic": "cilium-operator"},
            Start(("/usr/bin/cilium-operator-generic",), gops),
        ),
        Recipe(
            f"quay.io/cilium/hubble-relay:{tag}",
            Under.STATIC,
            {"usr/bin/hubble-relay": "hubble-relay"},
            Start(("/usr/bin/hubble-relay",), gops, user="65532:65532"),
        ),
    ]


def _connectivity(names: Mapping[str, str]) -> list[Recipe]:
    # The test's commands are written for bash but call sh. Debian's nc reports a connection on
    # standard error, which the test's setup takes for a failure; the exit code tells whether it
    # connected. tcpdump would resolve each address through a name server that the machines cannot
    # reach, for longer than the test waits for a packet.
    silent = b'#!/bin/bash\nexec /bin/nc.openbsd "$@" 2>/dev/null\n'
    nameless = b'#!/bin/bash\nexec /usr/bin/tcpdump -n "$@"\n'
    shell = (
        Entry("usr/bin/sh", link="bash", mode=0o777),
        Entry("usr/bin/nc", data=silent, mode=0o755),
        Entry("usr/local/bin/tcpdump", data=nameless, mode=0o755),
    )
    return [
        Recipe(
            names["client"],
            Under.BASE,
            {"usr/bin/pause": "pause"},
            Start(),
            shell,
            "Cilium's image of curl on Alpine",
        ),
        Recipe(
            names["json-mock"],
            Under.STATIC,
            {"usr/bin/json-mock": "json-mock"},
            Start(("/usr/bin/json-mock",)),
            (),
            "json-mock on Node.js",
        ),
    ]


def _stand_in(what: str, reference: str, words: tuple[str, ...]) -> Recipe:
    # The stand-in's own arguments end at the dashes; the container's arguments follow.
    start = Start(("/usr/bin/stand-in", "--name", what, *words, "--"), user="65532:65532")
    return Recipe(reference, Under.STATIC, {"usr/bin/stand-in": "stand-in"}, start, (), what)
