"""Detect changes: a digest of all inputs names each build, and a stamp marks a complete setup.

So a build from other inputs is never used, and a setup with nothing to do ends at once.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError
from firstlight.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from firstlight.toolbox.paths import ToolboxPaths
    from firstlight.toolbox.pins import Build, Pins

_STAMP_FORMAT = 1
"""A stamp of another format is ignored."""


def bin_folder(build: Build, pins: Pins, paths: ToolboxPaths) -> Path:
    """Return the folder in the user's cache for the programs of a build from these inputs."""
    return paths.built / f"{build.name}-{digest_of(build, pins, paths)}" / "bin"


def digest_of(build: Build, pins: Pins, paths: ToolboxPaths) -> str:
    """Return a short digest of go.mod, go.sum, the pinned tools, the sources and the platform.

    Raises:
        FirstlightError: An input cannot be read.
    """
    digest = hashlib.sha256()
    for word in (
        sys.platform,
        platform.machine(),
        pins.go,
        *sorted(f"{k}={v}" for k, v in build.placeholders.items()),
        *build.tags,
    ):
        digest.update(f"{word}\0".encode())
    for tool in sorted(pins.tools_of(build.name), key=lambda tool: tool.name):
        digest.update(f"{tool.name}\0{tool.version}\0{tool.package}\0{tool.stamps}\0".encode())
    for file in _input_files(build, paths):
        try:
            content = file.read_bytes()
        except OSError as error:
            raise FirstlightError(
                f"cannot read {file} to build {build.name}: {error.strerror}"
            ) from error
        digest.update(f"{file.relative_to(paths.root)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _input_files(build: Build, paths: ToolboxPaths) -> Iterator[Path]:
    """Yield the files of this checkout that a build depends on, in a fixed order."""
    module = paths.root / build.module
    yield module / "go.mod"
    yield module / "go.sum"
    for source in build.sources:
        folder = paths.root / source
        # Tests are not part of the program; hidden folders belong to editors.
        yield from sorted(
            file
            for file in folder.rglob("*")
            if file.is_file()
            and not file.name.endswith("_test.go")
            and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        )


@dataclass(frozen=True, slots=True)
class Inputs:
    """Sizes and times of setup's input files, and the times of its source folders."""

    files: Mapping[str, list[int]]
    folders: Mapping[str, int]


def is_fresh(paths: ToolboxPaths) -> bool:
    """Report whether nothing has changed since the last complete setup."""
    try:
        stamp = json.loads(paths.stamp.read_text())
        if stamp["format"] != _STAMP_FORMAT or stamp["root"] != str(paths.root):
            return False
        files = {path: _state(Path(path)) for path in stamp["files"]}
        folders = {folder: _newest(Path(folder)) for folder in stamp["folders"]}
    except (OSError, ValueError, KeyError, TypeError):
        # No stamp, or not ours: a full setup writes a good one.
        return False
    return bool(files == stamp["files"] and folders == stamp["folders"])


def paths_of_setup(paths: ToolboxPaths) -> ToolboxPaths:
    """Return the paths of the last setup, which may have had another HOME or XDG_CACHE_HOME."""
    try:
        return replace(paths, cache=Path(json.loads(paths.stamp.read_text())["cache"]))
    except (OSError, ValueError, KeyError, TypeError):
        # No complete setup, or none of this version.
        return paths


def read_inputs(pins: Pins, paths: ToolboxPaths) -> Inputs:
    """Return the state of all inputs, taken before setup so that later changes are noticed."""
    files = {
        paths.versions,
        *(file for build in pins.builds.values() for file in _input_files(build, paths)),
    }
    files |= {
        paths.root / chart.module / name
        for chart in pins.charts.values()
        for name in ("go.mod", "go.sum")
    }
    folders = {paths.root / source for build in pins.builds.values() for source in build.sources}
    return Inputs(
        files={str(path): _state(path) for path in sorted(files)},
        folders={str(path): _newest(path) for path in sorted(folders)},
    )


def write_stamp(inputs: Inputs, pins: Pins, paths: ToolboxPaths) -> None:
    """Record the inputs as they were and the results as they are, for `is_fresh`."""
    results = [
        *(paths.bin / name for name in pins.tools),
        *(paths.charts / name / "Chart.yaml" for name in pins.charts),
    ]
    content = {
        "format": _STAMP_FORMAT,
        "root": str(paths.root),
        "cache": str(paths.cache),
        "files": {**inputs.files, **{str(path): _state(path) for path in results}},
        "folders": inputs.folders,
    }
    write_atomically(paths.stamp, json.dumps(content, indent=1), mode=None)


def _state(path: Path) -> list[int]:
    """Return the size and time of a file; links are followed to notice a replaced program."""
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def _newest(folder: Path) -> int:
    """Return a number that changes when files are added to or removed from a tree."""
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    return max(path.stat().st_mtime_ns for path in folders)
