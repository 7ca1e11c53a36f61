"""The image of a machine: Talos' init and what it expects around it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.docker.images.ingredients import MACHINERY, TALOS
from lab.docker.images.layers import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.docker.images.ingredients import Ingredients

ENTRYPOINT = "/usr/libexec/firstlight/node-init"
"""It becomes Talos' init, after it has seen what this host keeps from root."""

PROGRAMS = {
    "usr/libexec/firstlight/node-init": "node-init",
    "usr/sbin/init": "machined",
    "usr/bin/containerd": "containerd",
    "usr/bin/containerd-shim-runc-v2": "containerd-shim-runc-v2",
    "usr/bin/runc": "runc-shim",
    "opt/cni/bin/bridge": "cni-bridge",
    "opt/cni/bin/host-local": "cni-host-local",
    "opt/cni/bin/loopback": "cni-loopback",
}

# Where Talos mounts files of its own; there has to be something to mount over.
_EMPTY = (
    *(
        "etc/extensions.yaml",
        "etc/hosts",
        "etc/machine-id",
        "etc/resolv.conf",
        "etc/iscsi/initiatorname.iscsi",
        "etc/nvme/hostid",
        "etc/nvme/hostnqn",
    ),
    *(
        "etc/cri/conf.d/01-registries.part",
        "etc/cri/conf.d/20-customization.part",
        "etc/cri/conf.d/base-spec.json",
        "etc/cri/conf.d/cri.toml",
    ),
    "etc/selinux/targeted/contexts/files/file_contexts",
)
_FOLDERS = (
    *(
        ".extra",
        "etc/cni/net.d",
        "etc/cri/conf.d/hosts",
        "etc/kubernetes/manifests",
        "mnt",
        "opt/containerd/bin",
        "opt/containerd/lib",
        "system",
    ),
    *(
        "usr/lib/modules",
        "usr/libexec/kubernetes",
        "usr/local/lib/kubelet/credentialproviders",
        "usr/share/spdx",
    ),
)
# Of Talos' own sources: how its two containerds are set up, and what it gives to the kubelet.
_COPIED = {
    "etc/nfsmount.conf": "hack/nfsmount.conf",
    "etc/containerd/config.toml": "hack/containerd.toml",
    "etc/cri/containerd.toml": "hack/cri-containerd.toml",
    "etc/cri/conf.d/00-base.part": "hack/cri-plugin.part",
}
# The map of a user namespace of all ids but one, for hosts that restrict root; node-init says why.
_ID_MAP = b"         0          0 4294967294\n"


def entries(got: Ingredients) -> Iterator[Entry]:
    """Yield everything of the image but the programs."""
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
    # Where runc-shim finds the real one: /usr/bin/runc, the first on every path, is the shim itself.
    yield Entry("usr/libexec/firstlight/runc", link="../../sbin/runc", mode=0o777)
    # Talos looks for programs in /usr/bin only, as it has everything there.
    for program in sorted((got.root / "usr/sbin").iterdir()):
        path = f"usr/bin/{program.name}"
        if path not in PROGRAMS and not os.path.lexists(got.root / path):
            yield Entry(path, link=f"../sbin/{program.name}", mode=0o777)
