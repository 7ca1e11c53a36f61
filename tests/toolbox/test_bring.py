"""Single tools are brought for those who need them, and set-up leaves them alone."""

from __future__ import annotations

import subprocess

import pytest

from firstlight.errors import FirstlightError
from firstlight.toolbox.bring import bring
from firstlight.toolbox.pins import load_pins
from firstlight.toolbox.setup import set_up

EXTRA = """
[builds.extra]
module = "tools/small"
go = "9.9.9"
on_demand = true
expected_s = 1
disk_mb = 1

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
    """Return the checkout with one more tool, which set-up leaves alone."""
    versions = workshop.places.versions
    versions.write_text(versions.read_text() + EXTRA)
    return workshop


def brought(workshop, *names):
    bring(
        names,
        load_pins(workshop.places.versions),
        workshop.places,
        workshop.environ,
        workshop.display,
    )


def linked(workshop):
    return sorted(path.name for path in workshop.places.bin.iterdir())


def test_a_tool_is_built_and_linked_and_no_other_one(extended):
    brought(extended, "plane")

    assert linked(extended) == ["plane"]
    assert (
        subprocess.run(
            [extended.places.bin / "plane"], capture_output=True, text=True, check=True
        ).stdout
        == "chisel-server v1.2.3\n"
    )


def test_what_will_be_done_is_said_before_it_is_done(extended):
    brought(extended, "plane")

    before, _, _ = extended.shown.getvalue().partition("tools: building")
    assert "plane" in before
    assert str(extended.places.built) in before
    assert "GB of disk" in before


def test_what_changes_while_it_is_built_is_built_once_more(extended):
    extended.between_halves(f"""
        if [ ! -f "$here/changed" ]; then
            touch "$here/changed"
            echo "example.com/glue v1.0.0 h1:bbbb=" >>{extended.places.root}/tools/small/go.sum
        fi
    """)

    brought(extended, "plane")

    assert extended.go_calls.count("build") == 2
    assert "built once more" in extended.shown.getvalue()
    assert linked(extended) == ["plane"]


def test_a_tool_that_is_there_is_not_built_again(extended):
    brought(extended, "plane")
    extended.between_halves("exit 1")

    brought(extended, "plane")

    assert extended.go_calls.count("build") == 1


def test_set_up_neither_brings_it_nor_takes_it_away(extended):
    set_up(load_pins(extended.places.versions), extended.places, extended.environ, extended.display)
    without = linked(extended)
    brought(extended, "plane")
    extended.places.stamp.unlink()

    set_up(load_pins(extended.places.versions), extended.places, extended.environ, extended.display)

    assert without == ["chisel", "hammer"]
    assert linked(extended) == ["chisel", "hammer", "plane"]


def test_a_tool_that_nobody_pins_is_refused_and_those_that_can_be_had_are_named(extended):
    with pytest.raises(
        FirstlightError,
        match=r"cannot bring plain: versions\.toml pins no such tool\n  beyond set-up  plane, saw",
    ):
        brought(extended, "plane", "plain")

    assert not extended.places.bin.exists()


def test_a_tool_that_cannot_be_built_says_why(extended):
    extended.between_halves("echo 'plane: no wood' >&2; exit 1")

    with pytest.raises(FirstlightError, match="no wood"):
        brought(extended, "plane")
