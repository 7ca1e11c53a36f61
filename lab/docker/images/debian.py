"""What images take from Debian: packages, and of the root that has them whatever an image has a use for."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from lab.docker.images.layers import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator


SUITE = "trixie"
# What machines, the kubelet and the connectivity test's client call: one root for all, so that a machine keeps it once.
BASE = (
    *(
        "ca-certificates",
        "iptables",
        "nftables",
        "kmod",
        "conntrack",
        "ethtool",
        "socat",
        "udev",
        "xfsprogs",
        "e2fsprogs",
        "nfs-common",
    ),
    *("iproute2", "ipset", "procps", "runc"),
    *("curl", "iputils-ping", "bind9-dnsutils", "netcat-openbsd", "tcpdump"),
)
# Cilium's agent compiles its datapath when it starts. The connectivity test reads the agent's metrics with jq.
COMPILER = ("clang-19", "bpftool", "jq")
# What an image has no use for, and what is different each time.
_LEFT_OUT = re.compile(
    r"(dev|proc|sys|run|tmp|var/cache|var/log|var/lib/apt/lists|usr/share/(doc|man|info|locale|lintian|bug)|debootstrap)/.+"
    r"|(etc/(machine-id|resolv\.conf|hostname|\.pwd\.lock|.+-)|var/lib/dpkg/.+-old|var/lib/systemd/.+)"
    r"|.+/__pycache__(/.+)?|usr/lib/llvm-19/lib/.+\.a"
)


# A root of another form gets another name.
_FORMAT = "1"


def digest(packages: tuple[str, ...]) -> str:
    """Name a root by what it has."""
    return hashlib.sha256(" ".join((_FORMAT, SUITE, *packages)).encode()).hexdigest()[:16]


def entries_of(root: Path, *, beyond: Path | None = None) -> Iterator[Entry]:
    """Yield what an image takes from a root; with `beyond`, only what that other root does not have just so.

    Nothing that the other root has is ever removed, so the rest needs no marks of removal.
    """
    for folder, names, files in os.walk(root):
        for name in [*names, *files]:
            path = Path(folder) / name
            inside = path.relative_to(root).as_posix()
            if _LEFT_OUT.fullmatch(inside):
                continue
            entry = _entry(path, inside)
            if entry is not None and not (beyond and _same(path, beyond / inside)):
                yield entry
        names[:] = [name for name in names if not (Path(folder) / name).is_symlink()]


def _entry(path: Path, inside: str) -> Entry | None:
    state = path.lstat()
    mode, uid, gid = stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid
    if stat.S_ISLNK(state.st_mode):
        return Entry(inside, link=str(path.readlink()), mode=0o777, uid=uid, gid=gid)
    if stat.S_ISDIR(state.st_mode):
        return Entry(inside, folder=True, mode=mode, uid=uid, gid=gid)
    # Devices and sockets are made anew by whatever runs the image.
    return (
        Entry(inside, source=path, mode=mode, uid=uid, gid=gid)
        if stat.S_ISREG(state.st_mode)
        else None
    )


def _same(path: Path, other: Path) -> bool:
    try:
        mine, theirs = path.lstat(), other.lstat()
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mine.st_mode):
        return mine.st_mode == theirs.st_mode
    # The copy kept the times of what it copied.
    return (mine.st_mode, mine.st_size, mine.st_mtime_ns) == (
        theirs.st_mode,
        theirs.st_size,
        theirs.st_mtime_ns,
    )
