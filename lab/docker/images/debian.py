"""Debian roots for the images, from the mirror that this computer is set up with."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.errors import TargetError
from firstlight.toolbox.process import Outcome, run
from lab.docker.images.layers import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firstlight.toolbox.progress import Display

SUITE = "trixie"
# What machines, the kubelet and the connectivity test's client call: one root for all, so that a machine keeps it once.
BASE = (
    *("ca-certificates", "iptables", "nftables", "kmod", "conntrack", "ethtool", "socat", "udev", "xfsprogs", "e2fsprogs", "nfs-common"),
    *("iproute2", "ipset", "procps", "runc"),
    *("curl", "iputils-ping", "bind9-dnsutils", "netcat-openbsd", "tcpdump"),
)
# Cilium's agent compiles its datapath when it starts.
COMPILER = ("clang-19", "bpftool")
# What an image has no use for, and what is different each time.
_LEFT_OUT = re.compile(
    r"(dev|proc|sys|run|tmp|var/cache|var/log|var/lib/apt/lists|usr/share/(doc|man|info|locale|lintian|bug)|debootstrap)/.+"
    r"|(etc/(machine-id|resolv\.conf|hostname|\.pwd\.lock|.+-)|var/lib/dpkg/.+-old|var/lib/systemd/.+)"
    r"|.+/__pycache__(/.+)?|usr/lib/llvm-19/lib/.+\.a"
)
_DEBOOTSTRAP_S = 3600.0
_EXPECTED_S = 90.0


# A root of another form gets another name.
_FORMAT = "1"


def digest(packages: tuple[str, ...]) -> str:
    """Name a root by what it has."""
    return hashlib.sha256(" ".join((_FORMAT, SUITE, *packages)).encode()).hexdigest()[:16]


def make_root(root: Path, display: Display) -> None:
    """Make the base root in this folder, which nobody else uses."""
    _require_root()
    # In mount tables of its own, so that whatever it mounts is gone when it ends, however that comes about.
    words = ["unshare", "--mount", "--propagation", "private", "debootstrap", "--variant=minbase", f"--include={','.join(BASE)}", SUITE, str(root)]
    mirror = configured_mirror(Path("/etc"))
    _run([*words, *([mirror] if mirror else [])], "make a Debian root", f"Debian {SUITE} with {len(BASE)} packages", display)


def add_packages(base: Path, root: Path, packages: tuple[str, ...], display: Display) -> None:
    """Copy the base root and install more packages into the copy."""
    _require_root()
    _run(["cp", "--archive", "--reflink=auto", f"{base}/.", str(root)], "copy the Debian root", "copy of the Debian root", display)
    inside = ["unshare", "--mount", "--propagation", "private", "chroot", str(root), "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"]
    _run([*inside, "apt-get", "--quiet", "update"], "read the list of packages", "list of packages", display)
    install = [*inside, "apt-get", "--quiet", "--yes", "--no-install-recommends", "install", *packages]
    _run(install, f"install {', '.join(packages)}", f"packages {', '.join(packages)}", display)


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


def configured_mirror(etc: Path) -> str:
    """Return the mirror that a Debian computer is set up with; empty elsewhere, where debootstrap knows a default."""
    release = etc / "os-release"
    if not release.is_file() or not re.search(r"^ID=debian$", release.read_text(encoding="utf-8"), re.MULTILINE):
        return ""
    sources = [etc / "apt/sources.list", *sorted((etc / "apt/sources.list.d").glob("*"))]
    for file in (path for path in sources if path.is_file()):
        found = re.search(r"^(?:deb(?: \[[^]]*\])? |URIs:\s*)(https?://\S+/debian)/?(?:\s|$)", file.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found.group(1)
    return ""


def _entry(path: Path, inside: str) -> Entry | None:
    state = path.lstat()
    mode, uid, gid = stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid
    if stat.S_ISLNK(state.st_mode):
        return Entry(inside, link=str(path.readlink()), mode=0o777, uid=uid, gid=gid)
    if stat.S_ISDIR(state.st_mode):
        return Entry(inside, folder=True, mode=mode, uid=uid, gid=gid)
    # Devices and sockets are made anew by whatever runs the image.
    return Entry(inside, source=path, mode=mode, uid=uid, gid=gid) if stat.S_ISREG(state.st_mode) else None


def _same(path: Path, other: Path) -> bool:
    try:
        mine, theirs = path.lstat(), other.lstat()
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mine.st_mode):
        return mine.st_mode == theirs.st_mode
    # The copy kept the times of what it copied.
    return (mine.st_mode, mine.st_size, mine.st_mtime_ns) == (theirs.st_mode, theirs.st_size, theirs.st_mtime_ns)


def _require_root() -> None:
    if os.geteuid() != 0:
        raise TargetError(
            "cannot make a Debian root: debootstrap needs to be root", next_step="run ./task lab:images as root (sudo -E ./task lab:images)"
        )
    if shutil.which("debootstrap") is None:
        raise TargetError(
            "cannot make a Debian root: debootstrap is not installed", next_step="apt-get install debootstrap, then ./task lab:images again"
        )


def _run(words: list[str], doing: str, step: str, display: Display) -> Outcome:
    display.begin(step, _EXPECTED_S if "debootstrap" in words else 0)
    outcome = run(words, timeout_s=_DEBOOTSTRAP_S, on_tick=display.tick)
    display.end("done" if outcome.success else "failed")
    if not outcome.success:
        said = "\n".join(f"  {line}" for line in f"{outcome.stdout}\n{outcome.stderr}".strip().splitlines()[-12:])
        raise TargetError(
            f"cannot {doing}: {words[0]} exited {outcome.code}\n{said}",
            next_step="mend what the last lines name (network, mirror, disk), then run ./task lab:images again; what is done is kept",
        )
    return outcome
