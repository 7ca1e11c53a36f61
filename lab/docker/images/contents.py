"""What the images are built from, and the files of the machine's and the Cilium agent's image."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.docker.images.layers import Entry
from lab.docker.images.layout import Start

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TALOS = "github.com/siderolabs/talos"
MACHINERY = "github.com/siderolabs/talos/pkg/machinery"
CILIUM = "github.com/cilium/cilium"


@dataclass(frozen=True, slots=True)
class Ingredients:
    """Everything that images are built from.

    Attributes:
        programs: The static program of each tool in versions.toml.
        modules: The folder of each Go module.
        root: The Debian root.
    """

    programs: Mapping[str, Path]
    modules: Mapping[str, Path]
    root: Path


# The image of a machine: Talos' init and the files that it expects.

MACHINE_ENTRYPOINT = "/usr/libexec/firstlight/node-init"
"""Checks what this host denies root, then becomes Talos' init."""

MACHINE_PROGRAMS = {
    "usr/libexec/firstlight/node-init": "node-init",
    "usr/sbin/init": "machined",
    "usr/bin/containerd": "containerd",
    "usr/bin/containerd-shim-runc-v2": "containerd-shim-runc-v2",
    "usr/bin/runc": "runc-shim",
    "opt/cni/bin/bridge": "cni-bridge",
    "opt/cni/bin/host-local": "cni-host-local",
    "opt/cni/bin/loopback": "cni-loopback",
}

# Talos bind-mounts its own files here, which needs existing mount points.
_EMPTY = (
    "etc/extensions.yaml",
    "etc/hosts",
    "etc/machine-id",
    "etc/resolv.conf",
    "etc/iscsi/initiatorname.iscsi",
    "etc/nvme/hostid",
    "etc/nvme/hostnqn",
    "etc/cri/conf.d/01-registries.part",
    "etc/cri/conf.d/20-customization.part",
    "etc/cri/conf.d/base-spec.json",
    "etc/cri/conf.d/cri.toml",
    "etc/selinux/targeted/contexts/files/file_contexts",
)
_FOLDERS = (
    ".extra",
    "etc/cni/net.d",
    "etc/cri/conf.d/hosts",
    "etc/kubernetes/manifests",
    "mnt",
    "opt/containerd/bin",
    "opt/containerd/lib",
    "system",
    "usr/lib/modules",
    "usr/libexec/kubernetes",
    "usr/local/lib/kubelet/credentialproviders",
    "usr/share/spdx",
)
# From Talos' sources: the configuration of its two containerds, and what it passes to the kubelet.
_COPIED = {
    "etc/nfsmount.conf": "hack/nfsmount.conf",
    "etc/containerd/config.toml": "hack/containerd.toml",
    "etc/cri/containerd.toml": "hack/cri-containerd.toml",
    "etc/cri/conf.d/00-base.part": "hack/cri-plugin.part",
}
# A user namespace map with every id but one, for hosts that restrict root; node-init says why.
_ID_MAP = b"         0          0 4294967294\n"


def machine_entries(got: Ingredients) -> Iterator[Entry]:
    """Yield everything in the machine's image except its programs."""
    yield from (Entry(path, mode=0o644) for path in _EMPTY)
    yield from (Entry(path, folder=True) for path in _FOLDERS)
    yield from (
        Entry(path, source=got.modules[TALOS] / source, mode=0o644)
        for path, source in _COPIED.items()
    )
    yield Entry("etc/os-release", source=got.modules[MACHINERY] / "version/os-release", mode=0o644)
    yield Entry("usr/etc/in-container", data=b"true\n", mode=0o644)
    yield Entry("usr/libexec/firstlight/uid_map", data=_ID_MAP, mode=0o444)
    yield Entry("usr/bin/init", link="../sbin/init", mode=0o777)
    # runc-shim finds the real runc here; /usr/bin/runc, the first on every PATH, is the shim.
    yield Entry("usr/libexec/firstlight/runc", link="../../sbin/runc", mode=0o777)
    # Talos looks for programs in /usr/bin only, because it keeps all of its own there.
    for program in sorted((got.root / "usr/sbin").iterdir()):
        path = f"usr/bin/{program.name}"
        if path not in MACHINE_PROGRAMS and not os.path.lexists(got.root / path):
            yield Entry(path, link=f"../sbin/{program.name}", mode=0o777)


# The image of the Cilium agent: datapath sources, and the scripts that its chart runs.

AGENT_PROGRAMS = {
    "usr/bin/cilium-agent": "cilium-agent",
    "usr/bin/cilium-dbg": "cilium-dbg",
    "usr/bin/cilium-health": "cilium-health",
    "usr/bin/cilium-health-responder": "cilium-health-responder",
    "usr/bin/cilium-mount": "cilium-mount",
    "usr/bin/cilium-sysctlfix": "cilium-sysctlfix",
    "opt/cni/bin/cilium-cni": "cilium-cni",
    "cni/loopback": "cni-loopback",
}
AGENT_START = Start(
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


def agent_entries(got: Ingredients) -> Iterator[Entry]:
    """Yield everything in the agent's image except its programs."""
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
