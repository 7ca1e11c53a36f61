"""The image of Cilium's agent: its programs, its datapath's sources, and the scripts that its chart calls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lab.docker.images.ingredients import CILIUM
from lab.docker.images.layers import Entry
from lab.docker.images.layout import Start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.docker.images.ingredients import Ingredients

PROGRAMS = {
    "usr/bin/cilium-agent": "cilium-agent",
    "usr/bin/cilium-dbg": "cilium-dbg",
    "usr/bin/cilium-health": "cilium-health",
    "usr/bin/cilium-health-responder": "cilium-health-responder",
    "usr/bin/cilium-mount": "cilium-mount",
    "usr/bin/cilium-sysctlfix": "cilium-sysctlfix",
    "opt/cni/bin/cilium-cni": "cilium-cni",
    "cni/loopback": "cni-loopback",
}
START = Start(
    ("/usr/bin/cilium-dbg",),
    {"HUBBLE_SERVER": "unix:///var/run/cilium/hubble.sock", "INITSYSTEM": "SYSTEMD"},
    folder="/home/cilium",
)

_DATAPATH = "var/lib/cilium/bpf"
_NOT_DATAPATH = {"tests", "complexity-tests"}
_SCRIPTS = (
    "images/cilium/init-container.sh",
    "plugins/cilium-cni/install-plugin.sh",
    "plugins/cilium-cni/cni-uninstall.sh",
)


def entries(got: Ingredients) -> Iterator[Entry]:
    """Yield everything of the image but the programs."""
    module = got.modules[CILIUM]
    sources = module / "bpf"
    for file in sorted(sources.rglob("*")):
        inside = file.relative_to(sources)
        if file.is_file() and inside.parts[0] not in _NOT_DATAPATH:
            yield Entry(f"{_DATAPATH}/{inside.as_posix()}", source=file, mode=0o644)
    yield from (Entry(Path(script).name, source=module / script) for script in _SCRIPTS)
    yield Entry("home/cilium", folder=True)
    yield Entry("usr/bin/cilium", link="cilium-dbg", mode=0o777)
    yield Entry("usr/bin/clang", link="clang-19", mode=0o777)
