"""The pinned versions of tools/versions.toml, as frozen types."""

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
    """Programs that one `go build` builds from one module graph.

    Attributes:
        name: Its name in versions.toml.
        module: The folder of go.mod and go.sum, relative to the checkout.
        sources_s: How long the download of its sources takes, in seconds.
        expected_s: How long it takes to compile from scratch on two cores, in seconds.
        alone_s: The same where nothing of its module graph is compiled before it.
        alone_mb: Disk space that it needs then.
        disk_mb: Disk space that it needs while it builds, in Go's caches and in ours.
        kept_mb: Disk space of its programs.
        sources: Folders of this checkout that belong to the build.
        placeholders: Module -> file to add to a copy of that module.
        tags: Go's build tags.
        on_demand: Whether setup skips it.
    """

    name: str
    module: str
    sources_s: float
    expected_s: float
    alone_s: float
    alone_mb: int
    disk_mb: int
    kept_mb: int
    sources: tuple[str, ...]
    placeholders: Mapping[str, str]
    tags: tuple[str, ...]
    on_demand: bool


@dataclass(frozen=True, slots=True)
class Tool:
    """A command-line tool at its pinned version.

    Attributes:
        name: The command's name, and the name of the link in `.tools/bin`.
        version: The exact version, without a leading "v".
        build: Its build, empty if it comes from a wheel.
        package: The Go package to build.
        source: The Go module with its version, empty for programs of this checkout.
        binary: The file name that `go build` gives it.
        stamps: `variable=value` pairs for the linker, which set the version that it prints.
        wheel: The Python distribution that contains it, empty if it is built.
        ask: Arguments that make it print its version, empty if it cannot.
        answer: A pattern whose first group is the version in that output.
        mise: Its name in mise, empty if mise cannot install it.
        image: An image by digest that contains it in `/usr/local/bin`, for machines with mise;
            the image's tag is its version there. Empty if there is none.
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
    image: str


@dataclass(frozen=True, slots=True)
class ChartPin:
    """A Helm chart from pinned modules: assembled from files with CRDs, or a whole chart.

    Attributes:
        module: The folder of go.mod and go.sum, relative to the checkout.
        files: Module -> patterns of the files with CRDs.
        whole: The chart's folder in the only module of `files`, empty for a chart of CRDs.
    """

    name: str
    version: str
    module: str
    files: Mapping[str, tuple[str, ...]]
    whole: str


@dataclass(frozen=True, slots=True)
class Pins:
    """All pinned versions.

    Attributes:
        go: The version of the Go toolchain that builds everything.
        builds: Groups of programs that are built together.
        tools: Command-line tools, and programs for images.
        charts: Helm charts.
        images: Names of images in the offline set whose versions are not those of a tool.
    """

    go: str
    builds: Mapping[str, Build]
    tools: Mapping[str, Tool]
    charts: Mapping[str, ChartPin]
    images: Mapping[str, str]

    def tools_of(self, build: str) -> tuple[Tool, ...]:
        """Return the tools of this build."""
        return tuple(tool for tool in self.tools.values() if tool.build == build)

    def usual(self) -> Pins:
        """Return the pins for setup: all but what is built on demand."""
        builds = {name: build for name, build in self.builds.items() if not build.on_demand}
        tools = {
            name: tool
            for name, tool in self.tools.items()
            if not tool.build or tool.build in builds
        }
        return Pins(self.go, builds, tools, self.charts, self.images)


def load_pins(path: Path) -> Pins:
    """Read versions.toml.

    Raises:
        FirstlightError: Something in it is missing or wrong.
    """
    try:
        data = tomllib.loads(path.read_text())
        return Pins(
            go=data["go"],
            builds={name: _build(name, entry) for name, entry in data["builds"].items()},
            tools={name: _tool(name, entry) for name, entry in data["tools"].items()},
            charts={name: _chart(name, entry) for name, entry in data["charts"].items()},
            images=dict(data.get("images", {})),
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        seen = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise FirstlightError(
            f"cannot read the pinned versions in {path}: {seen}", next_step=f"correct {path}"
        ) from error


def _build(name: str, entry: Mapping[str, Any]) -> Build:
    return Build(
        name=name,
        module=entry["module"],
        sources_s=float(entry["sources_s"]),
        expected_s=float(entry["expected_s"]),
        alone_s=float(entry.get("alone_s", entry["expected_s"])),
        alone_mb=int(entry.get("alone_mb", entry["disk_mb"])),
        disk_mb=int(entry["disk_mb"]),
        kept_mb=int(entry["kept_mb"]),
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
        image=entry.get("image", ""),
    )


def _chart(name: str, entry: Mapping[str, Any]) -> ChartPin:
    whole = entry.get("whole", "")
    return ChartPin(
        name=name,
        version=entry["version"],
        module=entry["module"],
        files={entry["source"]: ()}
        if whole
        else {module: tuple(patterns) for module, patterns in entry["files"].items()},
        whole=whole,
    )
