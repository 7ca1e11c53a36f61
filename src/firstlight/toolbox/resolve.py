"""Decide which program to use for each tool: from PATH, a wheel, a build, mise or an image."""

from __future__ import annotations

import enum
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError, ToolMissing
from firstlight.toolbox.fingerprint import bin_folder
from firstlight.toolbox.oci import bring_from_image, image_program, image_version
from firstlight.toolbox.search import Mise, candidates, program_of_wheel
from firstlight.toolbox.wheels import is_from_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from firstlight.toolbox.paths import ToolboxPaths
    from firstlight.toolbox.pins import Pins, Tool
    from firstlight.toolbox.progress import Display

_WORKERS = 8
"""They mostly wait for programs to print their versions."""

_HEADINGS = ("TOOL", "VERSION", "FROM", "PATH")


class Origin(enum.Enum):
    """Where a tool comes from."""

    PATH = "path"
    MISE = "mise"
    IMAGE = "image"
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

    @property
    def version(self) -> str:
        """The version of this program, which another way may have another pin for."""
        return image_version(self.tool) if self.origin is Origin.IMAGE else self.tool.version


def resolve(
    pins: Pins,
    paths: ToolboxPaths,
    environ: Mapping[str, str],
    *,
    names: Iterable[str] | None = None,
    download: Display | None = None,
) -> dict[str, Resolved]:
    """Return the program for each tool.

    Args:
        pins: The pinned tools.
        paths: Where tools are built and linked.
        environ: The environment whose PATH is searched.
        names: The tools to find; all by default.
        download: Shows the download of what is neither on PATH nor built, if there is a mise.
            Without it, nothing is downloaded.
    """
    folders = {build.name: bin_folder(build, pins, paths) for build in pins.builds.values()}

    def resolve_one(tool: Tool) -> Resolved:
        if tool.wheel:
            return _from_wheel(tool, paths)
        return _from_path_or_build(tool, folders[tool.build], paths, environ)

    tools = [pins.tools[name] for name in (pins.tools if names is None else names)]
    with ThreadPoolExecutor(_WORKERS) as workers:
        found = {entry.tool.name: entry for entry in workers.map(resolve_one, tools)}
    missing = [entry for entry in found.values() if entry.origin is Origin.MISSING]
    mise = Mise.on_path(paths.root, environ) if missing else None
    if mise is None:
        return found
    brought = _from_mise([entry for entry in missing if entry.tool.mise], mise, download)
    found |= brought
    # Where mise can download nothing, a registry does not answer either.
    connected = not brought or any(entry.origin is Origin.MISE for entry in brought.values())
    if download is not None and connected:
        found |= _from_images([entry for entry in missing if entry.tool.image], paths, download)
    return found


def _from_mise(
    missing: Sequence[Resolved], mise: Mise, download: Display | None
) -> dict[str, Resolved]:
    """Take tools from mise, which installs them first if it may."""
    found = {entry.tool.name: mise.find(entry.tool) for entry in missing}
    absent = [entry.tool for entry in missing if found[entry.tool.name][0] is None]
    if absent and download is not None:
        download.begin(f"download of {', '.join(tool.name for tool in absent)} with mise", 60)
        refused = mise.install(absent, download.tick)
        download.end("failed" if refused else "installed")
        for tool in absent:
            reason = refused.get(tool.name, "")
            found[tool.name] = (None, reason) if reason else mise.find(tool)
    return {
        entry.tool.name: _changed(entry, Origin.MISE, *found[entry.tool.name]) for entry in missing
    }


def _from_images(
    missing: Sequence[Resolved], paths: ToolboxPaths, download: Display
) -> dict[str, Resolved]:
    """Take tools from their images, one after the other."""
    found: dict[str, Resolved] = {}
    for entry in missing:
        tool = entry.tool
        download.begin(f"download of {tool.name} {image_version(tool)} from its image", 10)
        try:
            program, reason = bring_from_image(tool, paths, download.tick), ""
        except FirstlightError as error:
            program, reason = None, error.summary
        download.end("failed" if reason else "verified")
        found[tool.name] = _changed(entry, Origin.IMAGE, program, reason)
        if reason:
            # If one download fails, the next usually fails too, after the same long wait.
            break
    return found


def _changed(entry: Resolved, origin: Origin, program: Path | None, reason: str) -> Resolved:
    if program is None:
        return replace(entry, remarks=(*entry.remarks, reason))
    return replace(entry, origin=origin, path=program)


def table(resolved: Iterable[Resolved]) -> str:
    """Return a table of tools; paths are not cut, so that they can be copied."""
    entries = sorted(resolved, key=lambda entry: entry.tool.name)
    rows = [
        _HEADINGS,
        *((e.tool.name, e.version, e.origin.value, str(e.path)) for e in entries),
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
    if built.is_file():
        origin = Origin.WHEEL if is_from_wheel(built) else Origin.BUILT
        return Resolved(tool, origin, built, tuple(remarks))
    if tool.image and image_program(tool, paths).is_file():
        return Resolved(tool, Origin.IMAGE, image_program(tool, paths), tuple(remarks))
    return Resolved(tool, Origin.MISSING, built, tuple(remarks))
