"""What tools/versions.toml says, as frozen types."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firstlight.errors import FirstlightError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Build:
    """Programs that one `go build` makes from one module graph.

    Attributes:
        name: How versions.toml calls it.
        module: The folder of go.mod and go.sum, relative to the checkout.
        go: The version of the Go toolchain.
        expected_s: What a build from nothing takes on two cores.
        disk_mb: What it takes in Go's caches and in ours.
        sources: Folders of this checkout that are part of the build.
        placeholders: Module -> file to add to a copy of that module before it is compiled.
        tags: Go's build tags.
        on_demand: Whether set-up leaves it alone, because only the offline image set needs it.
    """

    name: str
    module: str
    go: str
    expected_s: float
    disk_mb: int
    sources: tuple[str, ...]
    placeholders: Mapping[str, str]
    tags: tuple[str, ...]
    on_demand: bool


@dataclass(frozen=True, slots=True)
class Tool:
    """One command-line tool at the one version that we use.

    Attributes:
        name: The command's name, and the name of the link in `.tools/bin`.
        version: The exact version, without a leading "v".
        build: The build that makes it, empty if a wheel brings it.
        package: The Go package to build.
        source: The Go module that carries its version, empty for what is part of this checkout.
        binary: What `go build` calls the program.
        stamps: `variable=value` pairs for the linker, which make the program say its version.
        wheel: The Python distribution that brings it, empty if it is built.
        ask: Arguments that make an installed one say its version; empty if it cannot.
        answer: A pattern whose first group is the version in what it says.
        mise: The name under which mise can bring it, empty if mise cannot.
    """

    name: str
    version: str
    build: str
    package: str
    source: str
    binary: str
    stamps: tuple[str, ...]
    wheel: str
    ask: tuple[str, ...]
    answer: str
    mise: str


@dataclass(frozen=True, slots=True)
class ChartPin:
    """A Helm chart from pinned modules: of custom resource definitions, assembled from their files, or one that a module holds whole.

    Attributes:
        module: The folder of go.mod and go.sum, relative to the checkout.
        files: Module -> patterns of the files with the definitions.
        whole: The folder of the chart in the only module of `files`, empty for a chart of definitions.
    """

    name: str
    version: str
    module: str
    go: str
    files: Mapping[str, tuple[str, ...]]
    whole: str


@dataclass(frozen=True, slots=True)
class Pins:
    """Everything that is pinned.

    Attributes:
        builds: What is built together.
        tools: Command-line tools, and programs that go into images.
        charts: Charts of custom resource definitions.
        images: Full names of images of the offline set whose versions are not those of a tool.
    """

    builds: Mapping[str, Build]
    tools: Mapping[str, Tool]
    charts: Mapping[str, ChartPin]
    images: Mapping[str, str]

    def tools_of(self, build: str) -> tuple[Tool, ...]:
        """Return the tools that this build makes."""
        return tuple(tool for tool in self.tools.values() if tool.build == build)

    def usual(self) -> Pins:
        """Return what set-up brings: everything but what is built on demand."""
        builds = {name: build for name, build in self.builds.items() if not build.on_demand}
        tools = {
            name: tool
            for name, tool in self.tools.items()
            if not tool.build or tool.build in builds
        }
        return Pins(builds, tools, self.charts, self.images)


def load_pins(path: Path) -> Pins:
    """Read versions.toml; what is missing or wrong in it is named."""
    try:
        data = tomllib.loads(path.read_text())
        return Pins(
            builds={name: _build(name, entry) for name, entry in data["builds"].items()},
            tools={name: _tool(name, entry) for name, entry in data["tools"].items()},
            charts={name: _chart(name, entry) for name, entry in data["charts"].items()},
            images=dict(data.get("images", {})),
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        seen = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise FirstlightError(
            f"cannot read the pinned versions in {path}: {seen}", next_step=f"mend {path}"
        ) from error


def _build(name: str, entry: Mapping[str, Any]) -> Build:
    return Build(
        name=name,
        module=entry["module"],
        go=entry["go"],
        expected_s=float(entry["expected_s"]),
        disk_mb=int(entry["disk_mb"]),
        sources=tuple(entry.get("sources", ())),
        placeholders=dict(entry.get("placeholders", {})),
        tags=tuple(entry.get("tags", ())),
        on_demand=bool(entry.get("on_demand", False)),
    )


def _tool(name: str, entry: Mapping[str, Any]) -> Tool:
    build, wheel = entry.get("build", ""), entry.get("wheel", "")
    if bool(build) == bool(wheel):
        raise TypeError(f"tools.{name} needs either a build or a wheel")
    package = entry["package"] if build else ""
    version = entry["version"]
    return Tool(
        name=name,
        version=version,
        build=build,
        package=package,
        source=entry.get("source", ""),
        binary=entry.get("binary", package.rsplit("/", 1)[-1]),
        stamps=tuple(stamp.format(version=version) for stamp in entry.get("stamps", ())),
        wheel=wheel,
        ask=tuple(entry.get("ask", ())),
        answer=entry.get("answer", ""),
        mise=entry.get("mise", ""),
    )


def _chart(name: str, entry: Mapping[str, Any]) -> ChartPin:
    whole = entry.get("whole", "")
    return ChartPin(
        name=name,
        version=entry["version"],
        module=entry["module"],
        go=entry["go"],
        files={entry["source"]: ()}
        if whole
        else {module: tuple(patterns) for module, patterns in entry["files"].items()},
        whole=whole,
    )
