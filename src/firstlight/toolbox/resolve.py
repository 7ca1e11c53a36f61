"""Decide for each tool which program is used: the pinned version from PATH, mise, a wheel, or a build."""

from __future__ import annotations

import enum
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firstlight.errors import ToolMissing
from firstlight.toolbox import mise
from firstlight.toolbox.digest import bin_folder
from firstlight.toolbox.search import candidates
from firstlight.toolbox.wheels import program_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from firstlight.toolbox.paths import Places
    from firstlight.toolbox.pins import Pins, Tool

# They mostly wait for a program to say its version.
_WORKERS = 8


class Origin(enum.Enum):
    """Where a tool comes from."""

    PATH = "path"
    MISE = "mise"
    WHEEL = "wheel"
    BUILT = "built"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A tool and the program that is used for it.

    Attributes:
        tool: What is pinned.
        origin: Where the program comes from.
        path: The program; for a missing one, where it will be.
        remarks: What was seen and not used, each with its reason.
    """

    tool: Tool
    origin: Origin
    path: Path
    remarks: tuple[str, ...]


def resolve(
    pins: Pins,
    places: Places,
    environ: Mapping[str, str],
    *,
    names: Iterable[str] | None = None,
    install: Callable[[str], None] | None = None,
) -> dict[str, Resolved]:
    """Return the program for each tool.

    Args:
        pins: What is wanted.
        places: Where we build and link.
        environ: Whose PATH is searched.
        names: The tools that are looked for, all of them unless said otherwise.
        install: If given, mise may install what is neither on PATH nor built; it is told what mise begins to do.
    """
    folders = {build.name: bin_folder(build, pins, places) for build in pins.builds.values()}

    def one(tool: Tool) -> Resolved:
        return (
            _wheel(tool, places)
            if tool.wheel
            else _program(tool, folders[tool.build], places, environ)
        )

    # What a build makes lies in one folder, named by all of its tools, whichever of them are wanted.
    wanted_tools = [pins.tools[name] for name in (pins.tools if names is None else names)]
    with ThreadPoolExecutor(_WORKERS) as workers:
        found = {entry.tool.name: entry for entry in workers.map(one, wanted_tools)}
    manager = mise.find_mise(environ.get("PATH", ""))
    if manager is None:
        return found
    wanted = [
        entry for entry in found.values() if entry.origin is Origin.MISSING and entry.tool.mise
    ]
    # One after the other, because mise locks its own state.
    for entry in wanted:
        program, reason = mise.bring(entry.tool, manager, environ, install=install)
        if program is not None:
            found[entry.tool.name] = Resolved(entry.tool, Origin.MISE, program, entry.remarks)
            continue
        found[entry.tool.name] = Resolved(
            entry.tool, entry.origin, entry.path, (*entry.remarks, reason)
        )
        # Where one release cannot be downloaded the next mostly cannot either, and waiting for each is long.
        install = None
    return found


def _wheel(tool: Tool, places: Places) -> Resolved:
    try:
        return Resolved(tool, Origin.WHEEL, program_of(tool), ())
    except ToolMissing as error:
        return Resolved(
            tool,
            Origin.MISSING,
            places.venv_bin / tool.name,
            (f"{error.summary}; {error.next_step}",),
        )


def _program(tool: Tool, folder: Path, places: Places, environ: Mapping[str, str]) -> Resolved:
    remarks: list[str] = []
    for candidate in candidates(tool, places, environ.get("PATH", "")):
        if candidate.version == tool.version:
            return Resolved(tool, Origin.PATH, candidate.path, tuple(remarks))
        seen = (
            f"version {candidate.version}" if candidate.version else "no version that can be read"
        )
        remarks.append(f"{candidate.path} has {seen}, not {tool.version}: not used")
    built = folder / tool.name
    return Resolved(
        tool, Origin.BUILT if built.is_file() else Origin.MISSING, built, tuple(remarks)
    )
