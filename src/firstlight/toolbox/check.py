"""Check that each tool of a run is present at its pinned version."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from firstlight.toolbox.fingerprint import bin_folder, paths_of_setup
from firstlight.toolbox.oci import image_program, image_version
from firstlight.toolbox.paths import ToolboxPaths
from firstlight.toolbox.pins import load_pins
from firstlight.toolbox.resolve import Origin
from firstlight.toolbox.search import version_of
from firstlight.toolbox.wheels import is_from_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from firstlight.toolbox.pins import Pins, Tool

_WORKERS = 8


class Checked(NamedTuple):
    """A tool as a run finds it; `problem` is empty if it is present at its pinned version."""

    tool: str
    version: str
    source: str
    path: str
    problem: str


def check(checkout: Path) -> list[Checked]:
    """Ask every tool in `.tools/bin` for its version; setup only trusts its stamp."""
    here = ToolboxPaths(root=checkout, cache=ToolboxPaths.of_this_checkout().cache)
    paths = paths_of_setup(here)
    pins = load_pins(paths.versions).usual()
    with ThreadPoolExecutor(_WORKERS) as workers:
        return list(workers.map(lambda tool: _checked(tool, pins, paths), pins.tools.values()))


def versions() -> dict[str, str]:
    """Return the pinned version of each tool of this checkout, by name."""
    paths = paths_of_setup(ToolboxPaths.of_this_checkout())
    pins = load_pins(paths.versions).usual()
    return {tool.name: _version(tool, paths) for tool in pins.tools.values()}


def _version(tool: Tool, paths: ToolboxPaths) -> str:
    """Return the pinned version on the way that set-up has taken."""
    return image_version(tool) if _is_from_image(tool, paths) else tool.version


def _is_from_image(tool: Tool, paths: ToolboxPaths) -> bool:
    # The program's folder is named after the digest that it was checked against.
    return bool(tool.image) and (
        (paths.bin / tool.name).resolve() == image_program(tool, paths).resolve()
    )


def _checked(tool: Tool, pins: Pins, paths: ToolboxPaths) -> Checked:
    link = paths.bin / tool.name
    program = link.resolve()
    if not (program.is_file() and os.access(program, os.X_OK)):
        problem = f"{link} does not exist"
        return Checked(tool.name, tool.version, Origin.MISSING.value, str(link), problem)
    if _is_from_image(tool, paths):
        return Checked(tool.name, image_version(tool), Origin.IMAGE.value, str(program), "")
    source = _source(program, paths).value
    problem = _problem(tool, link, pins, paths)
    return Checked(tool.name, tool.version, source, str(program), problem)


def _problem(tool: Tool, link: Path, pins: Pins, paths: ToolboxPaths) -> str:
    if tool.ask:
        seen = version_of(link, tool)
        if seen == tool.version:
            return ""
        return f"{link} says version {seen or 'nothing'}, not {tool.version}"
    if not tool.build:
        return ""
    # It cannot print its version, so it must be the file that was built from the pinned sources.
    built = bin_folder(pins.builds[tool.build], pins, paths) / tool.name
    if link.resolve() == built.resolve():
        return ""
    return f"{link} is not what is built from the pinned sources"


def _source(program: Path, paths: ToolboxPaths) -> Origin:
    if program.is_relative_to(paths.built.resolve()):
        return Origin.WHEEL if is_from_wheel(program) else Origin.BUILT
    if program.is_relative_to((paths.root / ".venv").resolve()):
        return Origin.WHEEL
    return Origin.MISE if "mise" in program.parts else Origin.PATH
