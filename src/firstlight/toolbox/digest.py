"""Name a build by everything that goes into it, so that what was built from something else is never used."""

from __future__ import annotations

import hashlib
import platform
import sys
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from firstlight.toolbox.paths import Places
    from firstlight.toolbox.pins import Build, Pins


def bin_folder(build: Build, pins: Pins, places: Places) -> Path:
    """Return the folder in the user's cache for what this build makes from exactly these inputs."""
    return places.built / f"{build.name}-{digest_of(build, pins, places)}" / "bin"


def digest_of(build: Build, pins: Pins, places: Places) -> str:
    """Return a short digest of go.mod, go.sum, the pins of its tools, its sources and the platform."""
    digest = hashlib.sha256()
    for word in (
        sys.platform,
        platform.machine(),
        build.go,
        *sorted(f"{k}={v}" for k, v in build.placeholders.items()),
        *build.tags,
    ):
        digest.update(f"{word}\0".encode())
    for tool in sorted(pins.tools_of(build.name), key=lambda tool: tool.name):
        digest.update(f"{tool.name}\0{tool.version}\0{tool.package}\0{tool.stamps}\0".encode())
    for file in input_files(build, places):
        try:
            content = file.read_bytes()
        except OSError as error:
            raise FirstlightError(
                f"cannot read {file} to build {build.name}: {error.strerror}"
            ) from error
        digest.update(f"{file.relative_to(places.root)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def input_files(build: Build, places: Places) -> Iterator[Path]:
    """Yield the files of this checkout that go into the build, in a fixed order."""
    module = places.root / build.module
    yield module / "go.mod"
    yield module / "go.sum"
    for source in build.sources:
        folder = places.root / source
        # Tests are no part of the program; folders that begin with a dot belong to editors.
        yield from sorted(
            file
            for file in folder.rglob("*")
            if file.is_file()
            and not file.name.endswith("_test.go")
            and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        )
