"""Set everything up: decide, say what will be done, build, link, assemble the charts, leave a stamp."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError, ToolMissing
from firstlight.lock import locked
from firstlight.toolbox.charts import assemble
from firstlight.toolbox.gobuild import build_tools, expected_here
from firstlight.toolbox.paths import LOCK_WAIT_S
from firstlight.toolbox.progress import seconds
from firstlight.toolbox.resolve import Origin, Resolved, resolve
from firstlight.toolbox.stamp import is_fresh, read_inputs, write_stamp
from firstlight.toolbox.toolchain import bring_go

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from firstlight.toolbox.paths import Places
    from firstlight.toolbox.pins import Build, Pins, Tool
    from firstlight.toolbox.progress import Display


def set_up(pins: Pins, places: Places, environ: Mapping[str, str], display: Display) -> None:
    """Have every tool in `.tools/bin` and every chart in `.tools/charts`; say nothing if they are there."""
    if is_fresh(places):
        return
    with locked(
        places.root / ".tools" / "setup.lock",
        doing="setting up the tools",
        wait_s=LOCK_WAIT_S,
        on_wait=display.say,
    ):
        if is_fresh(places):
            return
        on_demand = pins.tools.keys() - pins.usual().tools.keys()
        pins = pins.usual()
        inputs = read_inputs(pins, places)
        found, failures = provide(pins, places, environ, display)
        # What is there is linked even if another build failed, so that what can work works.
        _link(found, places, keep=on_demand)
        require(found, failures)
        _assemble_all(pins, places, environ, display)
        write_stamp(inputs, pins, places)
        display.say(
            f"{len(found)} tools in {places.bin}, {len(pins.charts)} charts in {places.charts}"
        )


def provide(
    pins: Pins,
    places: Places,
    environ: Mapping[str, str],
    display: Display,
    *,
    names: Iterable[str] | None = None,
) -> tuple[dict[str, Resolved], list[FirstlightError]]:
    """Find tools, all of them unless said otherwise, and build what is missing; return where each is, and the failures of builds."""
    found = resolve(pins, places, environ, names=names, install=display.say)
    for remark in (remark for entry in found.values() for remark in entry.remarks):
        display.say(remark)
    failures = _build_missing(found, pins, places, environ, display)
    found = resolve(pins, places, environ, names=names) if _missing(found) else found
    if _missing(found) and not failures:
        display.say("what is built changed meanwhile, so it is built once more")
        failures = _build_missing(found, pins, places, environ, display)
        found = resolve(pins, places, environ, names=names)
    return found, failures


def require(found: Mapping[str, Resolved], failures: list[FirstlightError]) -> None:
    """Refuse when a tool is not there.

    Raises:
        FirstlightError: A build failed.
        ToolMissing: A tool cannot be had.
    """
    if failures:
        raise _all(failures)
    for entry in found.values():
        if entry.origin is Origin.MISSING:
            raise ToolMissing(
                entry.tool.name, seen="; ".join(entry.remarks) or f"{entry.path} is not there"
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
    places: Places,
    environ: Mapping[str, str],
    display: Display,
) -> list[FirstlightError]:
    missing = _missing(found)
    builds = [build for build in pins.builds.values() if build.name in missing]
    if not builds:
        return []
    _say_plan(builds, missing, places, display)
    failures = []
    for build in builds:
        try:
            build_tools(
                build,
                missing[build.name],
                pins=pins,
                places=places,
                environ=environ,
                display=display,
            )
        except FirstlightError as error:
            # The others are built all the same; the failures are raised together afterwards.
            display.say(error.summary)
            failures.append(error)
    return failures


def _say_plan(
    builds: list[Build], missing: Mapping[str, list[Tool]], places: Places, display: Display
) -> None:
    display.say("built once from their Go modules:")
    for build in builds:
        names = ", ".join(tool.name for tool in missing[build.name])
        display.say(f"  about {seconds(expected_here(build))}: {names}")
    total_s = sum(expected_here(build) for build in builds)
    needed_mb = sum(build.disk_mb for build in builds)
    places.built.mkdir(parents=True, exist_ok=True)
    free_mb = shutil.disk_usage(places.built).free // 1_000_000
    display.say(
        f"about {seconds(total_s)} in all, less if Go has compiled them before; an interrupted build goes on"
    )
    display.say(
        f"into {places.built}; up to {needed_mb / 1000:.1f} GB of disk, {free_mb / 1000:.1f} GB are free"
    )
    if free_mb < needed_mb:
        display.say(
            "that may not be enough: set GOCACHE, GOMODCACHE and XDG_CACHE_HOME to a larger disk"
        )


def _assemble_all(pins: Pins, places: Places, environ: Mapping[str, str], display: Display) -> None:
    toolchains = {
        version: bring_go(version, places, environ, display)
        for version in {c.go for c in pins.charts.values()}
    }
    display.begin(f"charts {', '.join(pins.charts)}", 0)
    for chart in pins.charts.values():
        assemble(chart, go=toolchains[chart.go], places=places, environ=environ, display=display)
    display.end("assembled")


def _link(found: Mapping[str, Resolved], places: Places, *, keep: AbstractSet[str]) -> None:
    """Make `.tools/bin` hold a link per tool that is there, and nothing else but what is linked on demand."""
    places.bin.mkdir(parents=True, exist_ok=True)
    present = {
        name: entry.path for name, entry in found.items() if entry.origin is not Origin.MISSING
    }
    for name, program in present.items():
        point(places.bin / name, program)
    for link in places.bin.iterdir():
        if link.name not in present and link.name not in keep:
            link.unlink()


def point(link: Path, program: Path) -> None:
    """Replace the link in one step, because others may be starting the tool."""
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(program)
    fresh.replace(link)


def _all(failures: list[FirstlightError]) -> FirstlightError:
    if len(failures) == 1:
        return failures[0]
    return FirstlightError(
        "\n".join(error.message for error in failures), next_step=failures[0].next_step
    )
