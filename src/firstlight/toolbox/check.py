"""Say whether each tool that a run will start is there at its pinned version."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from firstlight.toolbox.digest import bin_folder
from firstlight.toolbox.paths import Places
from firstlight.toolbox.pins import load_pins
from firstlight.toolbox.resolve import Origin
from firstlight.toolbox.search import version_of

if TYPE_CHECKING:
    from pathlib import Path

    from firstlight.toolbox.pins import Pins, Tool

_WORKERS = 8


class Checked(NamedTuple):
    """A tool as a run finds it; `problem` is empty if it is there at its pinned version."""

    tool: str
    version: str
    source: str
    path: str
    problem: str


def check(checkout: Path) -> list[Checked]:
    """Ask every tool in the checkout's `.tools/bin` for its version, unlike set-up, which trusts its stamp."""
    here = Places.of_this_checkout()
    places = Places(root=checkout, cache=here.cache)
    pins = load_pins(places.versions).usual()
    with ThreadPoolExecutor(_WORKERS) as workers:
        return list(workers.map(lambda tool: _checked(tool, pins, places), pins.tools.values()))


def versions() -> dict[str, str]:
    """Return the pinned version of each tool of this checkout, by the tool's name."""
    pins = load_pins(Places.of_this_checkout().versions).usual()
    return {tool.name: tool.version for tool in pins.tools.values()}


def _checked(tool: Tool, pins: Pins, places: Places) -> Checked:
    link = places.bin / tool.name
    program = link.resolve()
    if not (program.is_file() and os.access(program, os.X_OK)):
        return Checked(
            tool.name, tool.version, Origin.MISSING.value, str(link), f"{link} is not there"
        )
    return Checked(
        tool.name,
        tool.version,
        _source(program, places).value,
        str(program),
        _problem(tool, link, pins, places),
    )


def _problem(tool: Tool, link: Path, pins: Pins, places: Places) -> str:
    if tool.ask:
        seen = version_of(link, tool)
        return (
            ""
            if seen == tool.version
            else f"{link} says version {seen or 'nothing'}, not {tool.version}"
        )
    if not tool.build:
        return ""
    # It cannot say its version, so it has to be the very file that was built from the pinned sources.
    built = bin_folder(pins.builds[tool.build], pins, places) / tool.name
    return (
        ""
        if link.resolve() == built.resolve()
        else f"{link} is not what is built from the pinned sources"
    )


def _source(program: Path, places: Places) -> Origin:
    if program.is_relative_to(places.built.resolve()):
        return Origin.BUILT
    if program.is_relative_to((places.root / ".venv").resolve()):
        return Origin.WHEEL
    return Origin.MISE if "mise" in program.parts else Origin.PATH
