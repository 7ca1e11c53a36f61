"""Build programs from their Go modules, so that each is there either whole or not at all."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError
from firstlight.lock import locked
from firstlight.process import CommandResult, run
from firstlight.toolbox.digest import bin_folder
from firstlight.toolbox.graph import make_modfile, tag_words
from firstlight.toolbox.paths import LOCK_WAIT_S
from firstlight.toolbox.toolchain import bring_go, go_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from firstlight.toolbox.paths import Places
    from firstlight.toolbox.pins import Build, Pins, Tool
    from firstlight.toolbox.progress import Display

# A build from nothing takes minutes on two cores; after this something hangs.
_BUILD_S = 7200.0
# How many builds of one name are kept: other checkouts and branches use the older ones.
_KEPT = 4


def build_tools(
    build: Build,
    tools: Sequence[Tool],
    *,
    pins: Pins,
    places: Places,
    environ: Mapping[str, str],
    display: Display,
) -> None:
    """Build these tools into the build's folder in the cache; what is there already is left alone.

    It may be interrupted anywhere: Go keeps what it has compiled, and a program gets its name by a rename.
    """
    folder = bin_folder(build, pins, places)
    with locked(
        places.built / f"{build.name}.lock",
        doing=f"building {build.name}",
        wait_s=LOCK_WAIT_S,
        on_wait=display.say,
    ) as lock:
        missing = [tool for tool in tools if not (folder / tool.name).is_file()]
        if not missing:
            return
        go = bring_go(build.go, places, environ, display)
        # Whoever held the lock before is gone, so its leftovers belong to nobody.
        staging = folder.parent.with_name(f"{build.name}.partial")
        shutil.rmtree(staging, ignore_errors=True)
        for part in ("bin", "tmp"):
            (staging / part).mkdir(parents=True)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            module = places.root / build.module
            modfile = make_modfile(
                module,
                build.placeholders,
                staging,
                go=go,
                places=places,
                environ=environ,
                display=display,
            )
            command = _Command(go, modfile, module, environ, display, lock)
            total = command.download(build, missing)
            command.compile(build, missing, total)
            for tool in missing:
                (staging / "bin" / tool.binary).replace(folder / tool.name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    _forget_old(build, folder.parent)


class _Command:
    """The two Go commands of a build: they share where they run and what they report to."""

    def __init__(
        self,
        go: Path,
        modfile: Path,
        module: Path,
        environ: Mapping[str, str],
        display: Display,
        lock: int,
    ) -> None:
        self._go = go
        self._modfile = modfile
        self._module = module
        # Go's scratch folder lies in ours, so that a killed build leaves nothing elsewhere.
        self._environ = go_environment(environ) | {"GOTMPDIR": str(modfile.parent / "tmp")}
        self._display = display
        self._lock = lock

    def download(self, build: Build, tools: Sequence[Tool]) -> int:
        """Have the sources of all needed packages there and return how many packages that are."""
        done = 0

        def on_line(line: str) -> None:
            nonlocal done
            if line.startswith("go: downloading "):
                done += 1
                self._display.update(done, 0, f"modules, {line.split()[2]}")

        self._display.begin(f"sources of {_count(tools)}", 0)
        arguments = [
            "list",
            f"-modfile={self._modfile}",
            *tag_words(build.tags),
            "-deps",
            *(tool.package for tool in tools),
        ]
        outcome = self._run(arguments, on_line)
        packages = len(outcome.stdout.splitlines())
        self._display.end(f"{done} modules downloaded" if outcome.ok else "failed")
        _check(outcome, "get the sources of", tools)
        return packages

    def compile(self, build: Build, tools: Sequence[Tool], total: int) -> None:
        """Compile and link all tools with one command, which compiles common packages once."""
        done = 0

        def on_line(line: str) -> None:
            nonlocal done
            # With -v Go names each package as it compiles it; its complaints have blanks or colons.
            if line and " " not in line and ":" not in line:
                done += 1
                self._display.update(done, total, f"packages, {line}")

        stamps = {stamp: None for tool in tools for stamp in tool.stamps}
        linker = " ".join(["-s", "-w", *(f"-X '{stamp}'" for stamp in stamps)])
        self._display.begin(f"building {_count(tools)}", expected_here(build))
        arguments = [
            "build",
            f"-modfile={self._modfile}",
            "-v",
            "-trimpath",
            *tag_words(build.tags),
            f"-ldflags={linker}",
        ]
        output = f"{self._modfile.parent / 'bin'}{os.sep}"
        outcome = self._run([*arguments, "-o", output, *(tool.package for tool in tools)], on_line)
        self._display.end(f"{done} packages compiled" if outcome.ok else "failed")
        _check(outcome, "build", tools)

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
    """Return what the build takes here if nothing is compiled: measured on two cores, it scales up to about eight."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2
    )
    return build.expected_s * 2 / min(max(cores, 1), 8)


def _count(tools: Sequence[Tool]) -> str:
    return tools[0].name if len(tools) == 1 else f"{len(tools)} tools"


def _check(outcome: CommandResult, doing: str, tools: Sequence[Tool]) -> None:
    if outcome.ok:
        return
    complaints = [
        line
        for line in outcome.stderr.splitlines()
        if " " in line and not line.startswith("go: downloading")
    ]
    raise FirstlightError(
        f"cannot {doing} {', '.join(tool.name for tool in tools)}: go {outcome.ending}\n"
        + "\n".join(f"  {line}" for line in complaints[-20:]),
        next_step="mend what the last lines name (network, disk, source), then run ./task tools:setup again; what is compiled already is kept",
    )


def _forget_old(build: Build, current: Path) -> None:
    """Remove the oldest builds of this name beyond the few that are kept."""
    current.touch()
    others = [
        path for path in current.parent.glob(f"{build.name}-*") if path.is_dir() and path != current
    ]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[_KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
