"""Decide which program to use for each tool: from PATH, a wheel, an earlier build, or mise."""

from __future__ import annotations

import enum
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firstlight.errors import ToolMissing
from firstlight.toolbox.fingerprint import bin_folder
from firstlight.toolbox.search import candidates, find_mise, find_with_mise, program_of_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from firstlight.toolbox.paths import ToolboxPaths
    from firstlight.toolbox.pins import Pins, Tool

_WORKERS = 8
"""They mostly wait for programs to print their versions."""

_HEADINGS = ("TOOL", "VERSION", "FROM", "PATH")


class Origin(enum.Enum):
    """Where a tool comes from."""

    PATH = "path"
    MISE = "mise"
    WHEEL = "wheel"
    BUILT = "built"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A tool and the program to use for it.

    Attributes:
        tool: The pinned tool.
        origin: Where the program comes from.
        path: The program; if it is missing, where its build will put it.
        remarks: What was found and not used, each with the reason.
    """

    tool: Tool
    origin: Origin
    path: Path
    remarks: tuple[str, ...]


def resolve(
    pins: Pins,
    paths: ToolboxPaths,
    environ: Mapping[str, str],
    *,
    names: Iterable[str] | None = None,
    install: Callable[[str], None] | None = None,
) -> dict[str, Resolved]:
    """Return the program for each tool.

    Args:
        pins: The pinned tools.
        paths: Where tools are built and linked.
        environ: The environment whose PATH is searched.
        names: The tools to find; all by default.
        install: Allows mise to install what is neither on PATH nor built; called with a line
            about each installation.
    """
    folders = {build.name: bin_folder(build, pins, paths) for build in pins.builds.values()}

    def resolve_one(tool: Tool) -> Resolved:
        if tool.wheel:
            return _from_wheel(tool, paths)
        return _from_path_or_build(tool, folders[tool.build], paths, environ)

    tools = [pins.tools[name] for name in (pins.tools if names is None else names)]
    with ThreadPoolExecutor(_WORKERS) as workers:
        found = {entry.tool.name: entry for entry in workers.map(resolve_one, tools)}
    mise = find_mise(environ.get("PATH", ""))
    if mise is None:
        return found
    missing = [
        entry for entry in found.values() if entry.origin is Origin.MISSING and entry.tool.mise
    ]
    # One after another, because mise locks its own state.
    for entry in missing:
        program, reason = find_with_mise(entry.tool, mise, environ, install=install)
        if program is not None:
            found[entry.tool.name] = Resolved(entry.tool, Origin.MISE, program, entry.remarks)
            continue
        remarks = (*entry.remarks, reason)
        found[entry.tool.name] = Resolved(entry.tool, entry.origin, entry.path, remarks)
        # If one download fails, the next usually fails too, after the same long wait.
        install = None
    return found


def table(resolved: Iterable[Resolved]) -> str:
    """Return a table of tools; paths are not cut, so that they can be copied."""
    entries = sorted(resolved, key=lambda entry: entry.tool.name)
    rows = [
        _HEADINGS,
        *((e.tool.name, e.tool.version, e.origin.value, str(e.path)) for e in entries),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    remarks = [f"  {entry.tool.name}: {remark}" for entry in entries for remark in entry.remarks]
    return "\n".join([*lines, *(["", "Found and not used:", *remarks] if remarks else [])])


def _from_wheel(tool: Tool, paths: ToolboxPaths) -> Resolved:
    try:
        return Resolved(tool, Origin.WHEEL, program_of_wheel(tool), ())
    except ToolMissing as error:
        remark = f"{error.summary}; {error.next_step}"
        return Resolved(tool, Origin.MISSING, paths.venv_bin / tool.name, (remark,))


def _from_path_or_build(
    tool: Tool, folder: Path, paths: ToolboxPaths, environ: Mapping[str, str]
) -> Resolved:
    remarks: list[str] = []
    for candidate in candidates(tool, paths, environ.get("PATH", "")):
        if candidate.version == tool.version:
            return Resolved(tool, Origin.PATH, candidate.path, tuple(remarks))
        seen = f"version {candidate.version}" if candidate.version else "no readable version"
        remarks.append(f"{candidate.path} has {seen}, not {tool.version}: not used")
    built = folder / tool.name
    origin = Origin.BUILT if built.is_file() else Origin.MISSING
    return Resolved(tool, origin, built, tuple(remarks))
