"""Set up the tools and charts: resolve, build what is missing, link, assemble, leave a stamp."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError, ToolMissing
from firstlight.lock import locked
from firstlight.toolbox.charts import assemble, chart_folder
from firstlight.toolbox.fingerprint import bin_folder, is_fresh, read_inputs, write_stamp
from firstlight.toolbox.gobuild import build_tools, expected_here
from firstlight.toolbox.paths import LOCK_WAIT_S
from firstlight.toolbox.progress import seconds
from firstlight.toolbox.resolve import Origin, Resolved, resolve
from firstlight.toolbox.search import Mise
from firstlight.toolbox.toolchain import bring_go, remove_caches
from firstlight.toolbox.wheels import INDEX, bring_wheel, pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from contextlib import AbstractContextManager
    from pathlib import Path

    from firstlight.toolbox.paths import ToolboxPaths
    from firstlight.toolbox.pins import Build, Pins, Tool
    from firstlight.toolbox.progress import Display


_PACK_S = 45
"""Measured: one core compresses 1.1 GB."""

_WAYS = {
    Origin.PATH: "from PATH",
    Origin.MISE: "from mise",
    Origin.IMAGE: "from their images",
    Origin.WHEEL: "from wheels",
    Origin.BUILT: "built before",
    Origin.MISSING: "to build from their Go modules",
}


def set_up(pins: Pins, paths: ToolboxPaths, environ: Mapping[str, str], display: Display) -> None:
    """Put every tool in `.tools/bin` and every chart in `.tools/charts`, silently if they exist.

    Raises:
        FirstlightError: A build failed, or a chart cannot be assembled.
        ToolMissing: A tool is neither installed nor can it be built.
    """
    if is_fresh(paths):
        return
    with _setup_lock(paths, display):
        if is_fresh(paths):
            return
        on_demand = pins.tools.keys() - pins.usual().tools.keys()
        pins = pins.usual()
        inputs = read_inputs(pins, paths)
        before = _made(paths)
        bring_wheel(pins, paths, environ, display)
        found, failures = _provide(pins, paths, environ, display)
        # Link what exists even if a build failed, so that everything else works.
        _link(found, paths, keep=on_demand)
        _require(found, failures)
        _assemble_all(pins, paths, environ, display)
        write_stamp(inputs, pins, paths)
        # Not if nothing was made: then they belong to somebody who works on the Go programs.
        if _made(paths) != before and (removed := remove_caches(environ, paths)):
            display.say(f"removed {removed / 1e9:.1f} GB of Go's caches")
        display.say(
            f"{len(found)} tools in {paths.bin}, {len(pins.charts)} charts in {paths.charts}"
        )


def bring(
    names: Sequence[str],
    pins: Pins,
    paths: ToolboxPaths,
    environ: Mapping[str, str],
    display: Display,
) -> None:
    """Put single tools in `.tools/bin`, including those that setup does not build.

    Raises:
        FirstlightError: A tool is unknown, or its build failed.
        ToolMissing: A tool is neither installed nor can it be built.
    """
    unknown = [name for name in names if name not in pins.tools]
    if unknown:
        extra = sorted(pins.tools.keys() - pins.usual().tools.keys())
        raise FirstlightError(
            f"cannot bring {', '.join(unknown)}: versions.toml pins no such tool\n"
            f"  beyond setup  {', '.join(extra)}"
        )
    with _setup_lock(paths, display):
        found, failures = _provide(pins, paths, environ, display, names=names)
        _require(found, failures)
        for name, entry in found.items():
            point(paths.bin / name, entry.path)


def make_wheel(
    pins: Pins,
    folder: Path,
    paths: ToolboxPaths,
    environ: Mapping[str, str],
    display: Display,
) -> Path:
    """Build every tool of setup and every chart, wherever else they could come from, and pack them.

    Raises:
        FirstlightError: A build failed, a chart cannot be assembled, or this is not Linux.
    """
    pins = pins.usual()
    with _setup_lock(paths, display):
        needed = {
            tool.name: Resolved(tool, Origin.MISSING, program, ())
            for build in pins.builds.values()
            for tool in pins.tools_of(build.name)
            if not (program := bin_folder(build, pins, paths) / tool.name).is_file()
        }
        _require({}, _build_missing(needed, pins, paths, environ, display))
        _assemble_all(pins, paths, environ, display)
        if needed:
            remove_caches(environ, paths)
        display.begin("packing the wheel", _PACK_S)
        wheel = pack(pins, paths, folder, display.tick)
        display.end(f"{wheel.stat().st_size / 1e6:.0f} MB in {wheel}")
        return wheel


def point(link: Path, program: Path) -> None:
    """Replace a link in one step, because others may be starting the tool."""
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(program)
    fresh.replace(link)


def _made(paths: ToolboxPaths) -> set[Path]:
    """Return everything that the user's cache holds."""
    return {*paths.built.glob("*/bin/*"), *paths.built.glob("charts/*")}


def _setup_lock(paths: ToolboxPaths, display: Display) -> AbstractContextManager[int]:
    return locked(
        paths.setup_lock,
        doing="setting up the tools",
        wait_s=LOCK_WAIT_S,
        on_wait=display.say,
    )


def _provide(
    pins: Pins,
    paths: ToolboxPaths,
    environ: Mapping[str, str],
    display: Display,
    *,
    names: Iterable[str] | None = None,
) -> tuple[dict[str, Resolved], list[FirstlightError]]:
    """Find tools, all by default, and build the missing ones.

    Returns:
        The program for each tool, and the failures of builds.
    """
    found = resolve(pins, paths, environ, names=names, download=display)
    for remark in (remark for entry in found.values() for remark in entry.remarks):
        display.say(remark)
    failures = _build_missing(found, pins, paths, environ, display)
    found = resolve(pins, paths, environ, names=names) if _missing(found) else found
    if _missing(found) and not failures:
        display.say("the sources changed during the build, so it is repeated")
        failures = _build_missing(found, pins, paths, environ, display)
        found = resolve(pins, paths, environ, names=names)
    return found, failures


def _require(found: Mapping[str, Resolved], failures: list[FirstlightError]) -> None:
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise FirstlightError(
            "\n".join(error.message for error in failures), next_step=failures[0].next_step
        )
    for entry in found.values():
        if entry.origin is Origin.MISSING:
            raise ToolMissing(
                entry.tool.name, seen="; ".join(entry.remarks) or f"{entry.path} does not exist"
            )


def _missing(found: Mapping[str, Resolved]) -> dict[str, list[Tool]]:
    """Return the missing tools of each build."""
    missing: dict[str, list[Tool]] = {}
    for entry in found.values():
        if entry.origin is Origin.MISSING and entry.tool.build:
            missing.setdefault(entry.tool.build, []).append(entry.tool)
    return missing


def _build_missing(
    found: Mapping[str, Resolved],
    pins: Pins,
    paths: ToolboxPaths,
    environ: Mapping[str, str],
    display: Display,
) -> list[FirstlightError]:
    missing = _missing(found)
    builds = _in_order([build for build in pins.builds.values() if build.name in missing])
    if not builds:
        return []
    _announce(found, builds, paths, environ, display)
    failures = []
    for build in builds:
        try:
            build_tools(
                build,
                missing[build.name],
                pins=pins,
                paths=paths,
                environ=environ,
                display=display,
            )
        except FirstlightError as error:
            # Build the others anyway; all failures are raised together afterwards.
            display.say(error.summary)
            failures.append(error)
    return failures


def _in_order(builds: Iterable[Build]) -> list[Build]:
    """Expect more of a build that no other of its module graph goes before."""
    ordered: list[Build] = []
    for build in builds:
        alone = all(earlier.module != build.module for earlier in ordered)
        ordered.append(
            replace(build, expected_s=build.alone_s, disk_mb=build.alone_mb) if alone else build
        )
    return ordered


_CHARTS_S = 20.0
"""Measured: the download of the modules that contain the charts, and their assembly."""


def _announce(
    found: Mapping[str, Resolved],
    builds: list[Build],
    paths: ToolboxPaths,
    environ: Mapping[str, str],
    display: Display,
) -> None:
    """Say which way set-up takes, how long that takes and how much disk it needs."""
    for origin, way in _WAYS.items():
        names = [name for name, entry in found.items() if entry.origin is origin]
        if names:
            display.say(f"{len(names)} {way}: {', '.join(names)}")
    total_s = sum(build.sources_s + expected_here(build) for build in builds) + _CHARTS_S
    paths.built.mkdir(parents=True, exist_ok=True)
    free_mb = shutil.disk_usage(paths.built).free // 1_000_000
    needed_mb = sum(build.disk_mb for build in builds)
    kept_mb = sum(build.kept_mb for build in builds)
    display.say(
        f"about {seconds(total_s)}, and {needed_mb / 1000:.1f} GB of disk in {paths.cache}, "
        f"of which {kept_mb / 1000:.1f} GB stay; {free_mb / 1000:.1f} GB are free"
    )
    if free_mb < needed_mb:
        display.say("that may not be enough: set XDG_CACHE_HOME to a folder on a larger disk")
    if Mise.on_path(paths.root, environ) is None and not environ.get(INDEX):
        display.say(
            f"to download instead: put mise (https://mise.jdx.dev) on PATH, or set {INDEX} "
            "to the wheels of a release"
        )
    display.say("Ctrl+C is safe: the same command continues where it stopped")
    display.plan(total_s)


def _assemble_all(
    pins: Pins, paths: ToolboxPaths, environ: Mapping[str, str], display: Display
) -> None:
    """Assemble the charts that this user's cache lacks, and link all of them."""
    missing = [pin for pin in pins.charts.values() if not chart_folder(pin, paths).is_dir()]
    if missing:
        # The charts of all checkouts are in one folder.
        with locked(
            paths.built / "charts.lock",
            doing="assembling the charts",
            wait_s=LOCK_WAIT_S,
            on_wait=display.say,
        ):
            go = bring_go(pins.go, paths, environ, display)
            display.begin(f"charts {', '.join(pin.name for pin in missing)}", _CHARTS_S)
            for pin in missing:
                assemble(pin, go=go, paths=paths, environ=environ, display=display)
            display.end("assembled")
    for pin in pins.charts.values():
        link = paths.charts / pin.name
        if link.is_dir() and not link.is_symlink():
            shutil.rmtree(link)  # assembled in the checkout by an earlier version
        point(link, chart_folder(pin, paths))


def _link(found: Mapping[str, Resolved], paths: ToolboxPaths, *, keep: AbstractSet[str]) -> None:
    """Link every existing tool into `.tools/bin`, and remove all other links but those to keep."""
    paths.bin.mkdir(parents=True, exist_ok=True)
    present = {
        name: entry.path for name, entry in found.items() if entry.origin is not Origin.MISSING
    }
    for name, program in present.items():
        point(paths.bin / name, program)
    for link in paths.bin.iterdir():
        if link.name not in present and link.name not in keep:
            link.unlink()
