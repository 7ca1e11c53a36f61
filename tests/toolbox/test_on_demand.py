"""Single tools are built on demand, and setup does not touch them."""

from __future__ import annotations

import re
import subprocess

import pytest

from firstlight.errors import FirstlightError
from firstlight.toolbox.pins import load_pins
from firstlight.toolbox.setup import bring, set_up

EXTRA = """
[builds.extra]
module = "tools/small"
on_demand = true
sources_s = 5
expected_s = 1
disk_mb = 1
kept_mb = 1

[tools.plane]
version = "1.2.3"
build = "extra"
package = "example.com/plane"
source = "example.com/hammer"
binary = "chisel-server"

[tools.saw]
version = "1.2.3"
build = "extra"
package = "example.com/saw"
source = "example.com/hammer"
binary = "chisel-server"
"""


@pytest.fixture
def extended(workshop):
    """Return the checkout with two more tools, which setup does not build."""
    versions = workshop.paths.versions
    versions.write_text(versions.read_text() + EXTRA)
    return workshop


def brought(workshop, *names):
    bring(
        names,
        load_pins(workshop.paths.versions),
        workshop.paths,
        workshop.environ,
        workshop.display,
    )


def linked(workshop):
    return sorted(path.name for path in workshop.paths.bin.iterdir())


def test_only_the_named_tool_is_built_and_linked(extended):
    brought(extended, "plane")

    assert linked(extended) == ["plane"]
    assert (
        subprocess.run(
            [extended.paths.bin / "plane"], capture_output=True, text=True, check=True
        ).stdout
        == "chisel-server v1.2.3\n"
    )


def test_the_plan_is_shown_before_the_build(extended):
    brought(extended, "plane")

    before, _, _ = extended.shown.getvalue().partition("tools: building")
    assert "plane" in before
    assert str(extended.paths.cache) in before
    assert "GB of disk" in before
    assert "to build from their Go modules: " in before
    assert re.search(r"tools: about \d+ (s|m)", before)


def test_a_build_whose_sources_change_meanwhile_is_repeated(extended):
    extended.between_halves(f"""
        if [ ! -f "$here/changed" ]; then
            touch "$here/changed"
            echo "example.com/glue v1.0.0 h1:bbbb=" >>{extended.paths.root}/tools/small/go.sum
        fi
    """)

    brought(extended, "plane")

    assert extended.go_calls.count("build") == 2
    assert "so it is repeated" in extended.shown.getvalue()
    assert linked(extended) == ["plane"]


def test_an_existing_tool_is_not_built_again(extended):
    brought(extended, "plane")
    extended.between_halves("exit 1")

    brought(extended, "plane")

    assert extended.go_calls.count("build") == 1


def test_set_up_neither_builds_nor_removes_an_on_demand_tool(extended):
    set_up(load_pins(extended.paths.versions), extended.paths, extended.environ, extended.display)
    without = linked(extended)
    brought(extended, "plane")
    extended.paths.stamp.unlink()

    set_up(load_pins(extended.paths.versions), extended.paths, extended.environ, extended.display)

    assert without == ["chisel", "hammer"]
    assert linked(extended) == ["chisel", "hammer", "plane"]


def test_an_unpinned_tool_is_refused_and_the_available_ones_are_listed(extended):
    with pytest.raises(
        FirstlightError,
        match=r"cannot bring plain: versions\.toml pins no such tool\n  beyond setup  plane, saw",
    ):
        brought(extended, "plane", "plain")

    assert not extended.paths.bin.exists()


def test_a_failed_build_reports_the_compiler_error(extended):
    extended.between_halves("echo 'plane: no wood' >&2; exit 1")

    with pytest.raises(FirstlightError, match="no wood"):
        brought(extended, "plane")
