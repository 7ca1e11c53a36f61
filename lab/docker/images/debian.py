"""Debian in images: packages, roots that debootstrap builds, and what an image takes of a root."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.errors import TargetError
from firstlight.process import run
from lab.docker.images.layers import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firstlight.toolbox.progress import Display

SUITE = "trixie"
# Used by the machines, the kubelet and the connectivity test's client. They share one root, so a
# machine stores it once.
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
# The Cilium agent compiles its datapath at startup; the connectivity test uses jq on its metrics.
COMPILER = ("clang-19", "bpftool", "jq")
# Files that no image needs, and files that differ on every build.
_LEFT_OUT = re.compile(
    r"(dev|proc|sys|run|tmp|var/cache|var/log|var/lib/apt/lists"
    r"|usr/share/(doc|man|info|locale|lintian|bug)|debootstrap)/.+"
    r"|(etc/(machine-id|resolv\.conf|hostname|\.pwd\.lock|.+-)"
    r"|var/lib/dpkg/.+-old|var/lib/systemd/.+)"
    r"|.+/__pycache__(/.+)?|usr/lib/llvm-19/lib/.+\.a"
)
# Change this when the layout of a root changes: its name changes with it.
_FORMAT = "1"

_TIMEOUT_S = 3600.0
# Measured with a nearby mirror, downloads included.
_EXPECTED_S = 90.0
# A private mount namespace: all mounts of the command disappear when it ends or is killed.
_PRIVATE_MOUNTS = ("unshare", "--mount", "--propagation", "private")


def digest(packages: tuple[str, ...]) -> str:
    """Return the name of a root, derived from its contents."""
    return hashlib.sha256(" ".join((_FORMAT, SUITE, *packages)).encode()).hexdigest()[:16]


def make_root(root: Path, display: Display, lock: int) -> None:
    """Create the base root in this folder.

    Args:
        root: The folder to create.
        display: Shows the progress.
        lock: The descriptor of the build lock. debootstrap inherits it, so the lock outlives us if
            we are killed.

    Raises:
        TargetError: debootstrap is missing or fails, or the user is not root.
    """
    _require_root()
    mirror = configured_mirror(Path("/etc"))
    _run(
        [
            *_PRIVATE_MOUNTS,
            "debootstrap",
            "--variant=minbase",
            f"--include={','.join(BASE)}",
            SUITE,
            str(root),
            *([mirror] if mirror else []),
        ],
        "make a Debian root",
        f"Debian {SUITE} with {len(BASE)} packages",
        display,
        lock,
    )


def add_packages(
    base: Path, root: Path, packages: tuple[str, ...], display: Display, lock: int
) -> None:
    """Copy the base root and install more packages into the copy.

    Raises:
        TargetError: A step fails, or the user is not root.
    """
    _require_root()
    _run(
        ["cp", "--archive", "--reflink=auto", f"{base}/.", str(root)],
        "copy the Debian root",
        "copy of the Debian root",
        display,
        lock,
    )
    inside = [
        *_PRIVATE_MOUNTS,
        "chroot",
        str(root),
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "LC_ALL=C",
        "apt-get",
        "--quiet",
    ]
    _run([*inside, "update"], "read the package lists", "package lists", display, lock)
    names = ", ".join(packages)
    _run(
        [*inside, "--yes", "--no-install-recommends", "install", *packages],
        f"install {names}",
        f"packages {names}",
        display,
        lock,
    )


def configured_mirror(etc: Path) -> str:
    """Return the mirror that a Debian host uses; empty elsewhere, for debootstrap's default."""
    release = etc / "os-release"
    if not release.is_file() or not re.search(
        r"^ID=debian$", release.read_text(encoding="utf-8"), re.MULTILINE
    ):
        return ""
    sources = [etc / "apt/sources.list", *sorted((etc / "apt/sources.list.d").glob("*"))]
    for file in (path for path in sources if path.is_file()):
        found = re.search(
            r"^(?:deb(?: \[[^]]*\])? |URIs:\s*)(https?://\S+/debian)/?(?:\s|$)",
            file.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
        if found:
            return found.group(1)
    return ""


def entries_of(root: Path, *, beyond: Path | None = None) -> Iterator[Entry]:
    """Yield the files that an image takes from a root.

    With `beyond`, only those that differ from that other root. Packages are only ever added to it,
    so the layer needs no whiteout files.
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


def _require_root() -> None:
    if os.geteuid() != 0:
        raise TargetError(
            "cannot make a Debian root: debootstrap needs to be root",
            next_step="run ./task lab:images as root (sudo -E ./task lab:images)",
        )
    if shutil.which("debootstrap") is None:
        raise TargetError(
            "cannot make a Debian root: debootstrap is not installed",
            next_step="apt-get install debootstrap, then run ./task lab:images again",
        )


def _run(words: list[str], doing: str, step: str, display: Display, lock: int) -> None:
    display.begin(step, _EXPECTED_S if "debootstrap" in words else 0)
    outcome = run(words, timeout_s=_TIMEOUT_S, on_tick=display.tick, keep_open=(lock,))
    display.end("done" if outcome.ok else "failed")
    if not outcome.ok:
        output = f"{outcome.stdout}\n{outcome.stderr}".strip().splitlines()
        tail = "\n".join(f"  {line}" for line in output[-12:])
        raise TargetError(
            f"cannot {doing}: {words[0]} {outcome.ending}\n{tail}",
            next_step="fix what the last lines name (network, mirror, disk), then run "
            "./task lab:images again; finished parts are kept",
        )


def _entry(path: Path, inside: str) -> Entry | None:
    state = path.lstat()
    mode, uid, gid = stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid
    if stat.S_ISLNK(state.st_mode):
        return Entry(inside, link=str(path.readlink()), mode=0o777, uid=uid, gid=gid)
    if stat.S_ISDIR(state.st_mode):
        return Entry(inside, folder=True, mode=mode, uid=uid, gid=gid)
    # The container runtime creates devices and sockets itself.
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
    # `cp --archive` kept the modification times.
    return (mine.st_mode, mine.st_size, mine.st_mtime_ns) == (
        theirs.st_mode,
        theirs.st_size,
        theirs.st_mtime_ns,
    )
