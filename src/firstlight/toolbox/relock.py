"""Regenerate go.mod and go.sum of each module graph after a change of versions.toml."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError
from firstlight.process import run
from firstlight.toolbox.graph import make_modfile, tag_words
from firstlight.toolbox.toolchain import bring_go, go_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from firstlight.toolbox.paths import ToolboxPaths
    from firstlight.toolbox.pins import Pins, Tool
    from firstlight.toolbox.progress import Display

_RESOLVE_S = 1800.0
_PLATFORMS = (("linux", "amd64"), ("linux", "arm64"), ("darwin", "amd64"), ("darwin", "arm64"))
"""Imports differ by platform, so go.sum must cover each supported one."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a graph must contain: tools, modules for charts, modules with a placeholder."""

    tools: tuple[Tool, ...]
    modules: tuple[str, ...]
    placeholders: Mapping[str, str]
    tags: tuple[str, ...]
    platforms: tuple[tuple[str, str], ...]


def lock_graphs(
    pins: Pins, paths: ToolboxPaths, environ: Mapping[str, str], display: Display
) -> None:
    """Set each go.mod to the pinned versions, and reduce go.sum to the hashes that setup needs.

    Raises:
        FirstlightError: The versions do not fit together, or a hash cannot be trusted.
    """
    go = bring_go(pins.go, paths, environ, display)
    modules = {build.module for build in pins.builds.values()} | {
        chart.module for chart in pins.charts.values()
    }
    for module in sorted(modules):
        wanted = _wanted(module, pins)
        display.begin(f"locking {module}", 60)
        with tempfile.TemporaryDirectory() as scratch:
            folder = paths.root / module
            modfile = make_modfile(
                folder,
                wanted.placeholders,
                Path(scratch),
                go=go,
                paths=paths,
                environ=environ,
                display=display,
            )
            graph = _Graph(folder, modfile, go, go_environment(environ, paths), display)
            _lock(graph, wanted)
        display.end("done")


def _wanted(module: str, pins: Pins) -> _Wanted:
    builds = [build for build in pins.builds.values() if build.module == module]
    charts = [chart for chart in pins.charts.values() if chart.module == module]
    return _Wanted(
        tools=tuple(tool for build in builds for tool in pins.tools_of(build.name)),
        modules=tuple(name for chart in charts for name in chart.files),
        placeholders={name: file for build in builds for name, file in build.placeholders.items()},
        tags=tuple(tag for build in builds for tag in build.tags),
        # Programs of images run on Linux only.
        platforms=_PLATFORMS
        if any(not build.on_demand for build in builds)
        else tuple(p for p in _PLATFORMS if p[0] == "linux"),
    )


class _Graph:
    """A graph that is being locked: a copy of its go.mod, and the Go that edits it."""

    def __init__(
        self, module: Path, modfile: Path, go: Path, environ: dict[str, str], display: Display
    ) -> None:
        self.module = module
        self.modfile = modfile
        self.sums = modfile.with_name("go.sum")
        self._go = go
        self._environ = environ
        self._display = display

    def run(self, *arguments: str, **extra: str) -> str:
        """Run Go on the copy, and return its standard output."""
        flags = f"-modfile={self.modfile} -mod=mod"
        result = run(
            [str(self._go), *arguments],
            timeout_s=_RESOLVE_S,
            env=self._environ | {"GOFLAGS": f"{flags} -modcacherw"} | extra,
            cwd=self.module,
            on_tick=self._display.tick,
        )
        if not result.ok:
            raise FirstlightError(
                f"cannot lock {self.module}: go {arguments[0]} {result.ending}\n{result.tail()}",
                next_step="check that the versions in versions.toml and "
                f"{self.module / 'go.mod'} fit together",
            )
        return result.stdout

    def need_everything(self, wanted: _Wanted, **extra: str) -> None:
        """Resolve every package on every platform, which completes go.mod and go.sum."""
        if wanted.modules:
            self.run("mod", "download", "-json", *wanted.modules, **extra)
        for system, machine in wanted.platforms if wanted.tools else ():
            self.run(
                "list",
                *tag_words(wanted.tags),
                "-deps",
                "tool",
                GOOS=system,
                GOARCH=machine,
                **extra,
            )

    def vouched_for(self, wanted: _Wanted) -> Iterator[str]:
        """Yield the lines of the wanted modules' own go.sum files."""
        sources = sorted(
            {tool.source for tool in wanted.tools if tool.source} | set(wanted.modules)
        )
        for folder in self.run("list", "-m", "-f", "{{.Dir}}", *sources).split():
            file = Path(folder) / "go.sum"
            if file.is_file():
                yield from file.read_text().splitlines()


def _lock(graph: _Graph, wanted: _Wanted) -> None:
    for tool in wanted.tools:
        if tool.source:
            graph.run("mod", "edit", f"-require={tool.source}@v{tool.version}", str(graph.modfile))
        graph.run("mod", "edit", f"-tool={tool.package}", str(graph.modfile))
    # The public checksum database lacks some forks, which the tools' own go.sum files contain.
    trusted = {*graph.sums.read_text().splitlines(), *graph.vouched_for(wanted)}
    graph.sums.write_text("\n".join(sorted(trusted)) + "\n")
    graph.need_everything(wanted)
    trusted |= set(graph.sums.read_text().splitlines())
    # Starting again from an empty go.sum drops unneeded hashes. A hash of unknown origin is an
    # error.
    graph.sums.write_text("")
    graph.need_everything(wanted, GONOSUMDB="*")
    unknown = set(graph.sums.read_text().splitlines()) - trusted
    if unknown:
        raise FirstlightError(
            f"cannot trust {len(unknown)} hashes for {graph.module}: {min(unknown)}, ..."
        )
    for name in wanted.placeholders:
        # The copy is made from the module itself, whose hash the checksum database supplies.
        graph.run("mod", "edit", f"-dropreplace={name}", str(graph.modfile))
        graph.run("mod", "download", name)
    shutil.copyfile(graph.modfile, graph.module / "go.mod")
    shutil.copyfile(graph.sums, graph.module / "go.sum")
