"""Build programs from their Go modules, so that each exists either completely or not at all."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError
from firstlight.lock import locked
from firstlight.process import CommandResult, run
from firstlight.toolbox.fingerprint import bin_folder
from firstlight.toolbox.graph import make_modfile, tag_words
from firstlight.toolbox.paths import LOCK_WAIT_S
from firstlight.toolbox.toolchain import bring_go, go_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from firstlight.toolbox.paths import ToolboxPaths
    from firstlight.toolbox.pins import Build, Pins, Tool
    from firstlight.toolbox.progress import Display

_BUILD_S = 7200.0
"""A build from scratch takes minutes on two cores; after this time something hangs."""

_KEPT = 4
"""Builds of one name that are kept, because other checkouts and branches use the older ones."""

_AT_ONCE = 4
"""Programs of one command: all at once would need 3 GB more disk for a while."""

_GOGC = "400"
"""Compiler and linker collect garbage less often: a sixth less CPU time, for more memory."""

_CORES_MAX = 8
"""A build does not get faster with more cores."""


def build_tools(
    build: Build,
    tools: Sequence[Tool],
    *,
    pins: Pins,
    paths: ToolboxPaths,
    environ: Mapping[str, str],
    display: Display,
) -> None:
    """Build those of the tools that do not exist yet into the build's folder in the cache.

    It may be interrupted at any time: Go keeps compiled packages, and a program gets its name last.

    Raises:
        FirstlightError: The sources cannot be downloaded or do not compile.
    """
    folder = bin_folder(build, pins, paths)
    with locked(
        paths.built / f"{build.name}.lock",
        doing=f"building {build.name}",
        wait_s=LOCK_WAIT_S,
        on_wait=display.say,
    ) as lock:
        missing = [tool for tool in tools if not (folder / tool.name).is_file()]
        if not missing:
            return
        go = bring_go(pins.go, paths, environ, display)
        # The lock is ours, so leftovers belong to a process that is gone.
        staging = folder.parent.with_name(f"{build.name}.partial")
        shutil.rmtree(staging, ignore_errors=True)
        for part in ("bin", "tmp"):
            (staging / part).mkdir(parents=True)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            module = paths.root / build.module
            modfile = make_modfile(
                module,
                build.placeholders,
                staging,
                go=go,
                paths=paths,
                environ=environ,
                display=display,
            )
            command = _Command(go, modfile, module, go_environment(environ, paths), display, lock)
            total = command.download(build, missing)
            command.compile(build, missing, total)
            for tool in missing:
                (staging / "bin" / tool.binary).replace(folder / tool.name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    _forget_old(build, folder.parent)


class _Command:
    """The two Go commands of a build."""

    def __init__(
        self,
        go: Path,
        modfile: Path,
        module: Path,
        environ: dict[str, str],
        display: Display,
        lock: int,
    ) -> None:
        self._go = go
        self._modfile = modfile
        self._module = module
        # Go's scratch folder is inside ours, so a killed build leaves nothing elsewhere.
        self._environ = environ | {"GOTMPDIR": str(modfile.parent / "tmp"), "GOGC": _GOGC}
        self._display = display
        self._lock = lock

    def download(self, build: Build, tools: Sequence[Tool]) -> int:
        """Download the sources of all packages, and return the number of packages."""
        done = 0

        def on_line(line: str) -> None:
            nonlocal done
            if line.startswith("go: downloading "):
                done += 1
                self._display.update(done, 0, f"modules, {line.split()[2]}")

        self._display.begin(f"sources of {_count(tools)}", build.sources_s)
        arguments = ["list", f"-modfile={self._modfile}", *tag_words(build.tags), "-deps"]
        result = self._run([*arguments, *(tool.package for tool in tools)], on_line)
        packages = len(result.stdout.splitlines())
        self._display.end(f"{done} modules downloaded" if result.ok else "failed")
        _require(result, "get the sources of", tools)
        return packages

    def compile(self, build: Build, tools: Sequence[Tool], total: int) -> None:
        """Compile and link all tools; what they share is compiled once."""
        done = 0

        def on_line(line: str) -> None:
            nonlocal done
            # With -v Go names each package as it compiles it; errors contain blanks or colons.
            if line and " " not in line and ":" not in line:
                done += 1
                self._display.update(done, total, f"packages, {line}")

        stamps = {stamp: None for tool in tools for stamp in tool.stamps}
        linker = " ".join(["-s", "-w", *(f"-X '{stamp}'" for stamp in stamps)])
        self._display.begin(f"building {_count(tools)}", expected_here(build))
        # Without debug information, which the linker would drop anyway, Go compiles faster.
        arguments = ["build", f"-modfile={self._modfile}", "-v", "-trimpath"]
        arguments += ["-gcflags=all=-dwarf=false"]
        arguments += [*tag_words(build.tags), f"-ldflags={linker}"]
        arguments += ["-o", f"{self._modfile.parent / 'bin'}{os.sep}"]
        # Until a command ends, Go keeps a second copy of whatever it compiles.
        parts = [tools[first : first + _AT_ONCE] for first in range(0, len(tools), _AT_ONCE)]
        for part in parts:
            result = self._run([*arguments, *(tool.package for tool in part)], on_line)
            if not result.ok:
                break
        self._display.end(f"{done} packages compiled" if result.ok else "failed")
        _require(result, "build", part)

    def _run(self, arguments: Sequence[str], on_line: Callable[[str], None]) -> CommandResult:
        return run(
            [str(self._go), *arguments],
            timeout_s=_BUILD_S,
            env=self._environ,
            cwd=self._module,
            on_line=on_line,
            on_tick=self._display.tick,
            keep_open=(self._lock,),
        )


def expected_here(build: Build) -> float:
    """Return how long the build takes here from scratch, in seconds; it was measured on 2 cores."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2
    )
    return build.expected_s * 2 / min(max(cores, 1), _CORES_MAX)


def _count(tools: Sequence[Tool]) -> str:
    return tools[0].name if len(tools) == 1 else f"{len(tools)} tools"


def _require(result: CommandResult, doing: str, tools: Sequence[Tool]) -> None:
    if result.ok:
        return
    errors = [
        line
        for line in result.stderr.splitlines()
        if " " in line and not line.startswith("go: downloading")
    ]
    raise FirstlightError(
        f"cannot {doing} {', '.join(tool.name for tool in tools)}: go {result.ending}\n"
        + "\n".join(f"  {line}" for line in errors[-20:]),
        next_step="fix what the last lines name (network, disk, source), "
        "then run ./task tools:setup again; compiled packages are kept",
    )


def _forget_old(build: Build, current: Path) -> None:
    """Remove the oldest builds of this name, except for the few that are kept."""
    current.touch()
    others = [
        path for path in current.parent.glob(f"{build.name}-*") if path.is_dir() and path != current
    ]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[_KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
