"""Make Debian roots with debootstrap, from the mirror that this computer is set up with."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.errors import TargetError
from firstlight.toolbox.process import run
from lab.docker.images.debian import BASE, SUITE

if TYPE_CHECKING:
    from firstlight.toolbox.progress import Display

_TIMEOUT_S = 3600.0
# Measured: downloads included, from a mirror that is near.
_EXPECTED_S = 90.0


def make_root(root: Path, display: Display, lock: int) -> None:
    """Make the base root in this folder; what makes it holds the lock, also when we are killed."""
    _require_root()
    # In mount tables of its own, so that whatever it mounts is gone when it ends, however that comes about.
    words = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "debootstrap",
        "--variant=minbase",
        f"--include={','.join(BASE)}",
        SUITE,
        str(root),
    ]
    mirror = configured_mirror(Path("/etc"))
    _run(
        [*words, *([mirror] if mirror else [])],
        "make a Debian root",
        f"Debian {SUITE} with {len(BASE)} packages",
        display,
        lock,
    )


def add_packages(
    base: Path, root: Path, packages: tuple[str, ...], display: Display, lock: int
) -> None:
    """Copy the base root and install more packages into the copy."""
    _require_root()
    _run(
        ["cp", "--archive", "--reflink=auto", f"{base}/.", str(root)],
        "copy the Debian root",
        "copy of the Debian root",
        display,
        lock,
    )
    inside = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "chroot",
        str(root),
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "LC_ALL=C",
    ]
    _run(
        [*inside, "apt-get", "--quiet", "update"],
        "read the list of packages",
        "list of packages",
        display,
        lock,
    )
    install = [
        *inside,
        "apt-get",
        "--quiet",
        "--yes",
        "--no-install-recommends",
        "install",
        *packages,
    ]
    _run(
        install, f"install {', '.join(packages)}", f"packages {', '.join(packages)}", display, lock
    )


def configured_mirror(etc: Path) -> str:
    """Return the mirror that a Debian computer is set up with; empty elsewhere, where debootstrap knows a default."""
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


def _require_root() -> None:
    if os.geteuid() != 0:
        raise TargetError(
            "cannot make a Debian root: debootstrap needs to be root",
            next_step="run ./task lab:images as root (sudo -E ./task lab:images)",
        )
    if shutil.which("debootstrap") is None:
        raise TargetError(
            "cannot make a Debian root: debootstrap is not installed",
            next_step="apt-get install debootstrap, then ./task lab:images again",
        )


def _run(words: list[str], doing: str, step: str, display: Display, lock: int) -> None:
    display.begin(step, _EXPECTED_S if "debootstrap" in words else 0)
    outcome = run(words, timeout_s=_TIMEOUT_S, on_tick=display.tick, keep_open=(lock,))
    display.end("done" if outcome.success else "failed")
    if not outcome.success:
        said = "\n".join(
            f"  {line}" for line in f"{outcome.stdout}\n{outcome.stderr}".strip().splitlines()[-12:]
        )
        raise TargetError(
            f"cannot {doing}: {words[0]} exited {outcome.code}\n{said}",
            next_step="mend what the last lines name (network, mirror, disk), then run ./task lab:images again; what is done is kept",
        )
