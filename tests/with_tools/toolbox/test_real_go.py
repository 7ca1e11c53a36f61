"""The real Go builds and stamps a program from a module graph."""

import os
import subprocess
from pathlib import Path

from firstlight.toolbox.check import check
from firstlight.toolbox.paths import ToolboxPaths
from firstlight.toolbox.pins import load_pins
from firstlight.toolbox.setup import set_up
from firstlight.toolbox.toolchain import bring_go, find_go, go_environment

ROOT = Path(__file__).parents[3]
MAIN = """package main

import "os"

var version = "unstamped"

func main() { os.Stdout.WriteString("plane v" + version + "\\n") }
"""


def test_a_program_is_built_stamped_and_found_at_its_version(workshop):
    go = load_pins(ROOT / "tools/versions.toml").go
    root = workshop.paths.root
    (root / "tools/versions.toml").write_text(
        f'go = "{go}"\n[builds.small]\nmodule = "tools/small"\nsources = ["lab/machines"]\nsources_s = 1\nexpected_s = 20\ndisk_mb = 100\nkept_mb = 5\n'  # noqa: E501
        '[tools.plane]\nversion = "5.6.7"\nbuild = "small"\npackage = "example.com/machines"\nbinary = "machines"\n'  # noqa: E501
        "stamps = ['main.version={version}']\nask = ['x']\nanswer = 'plane v(\\S+)'\n[charts]\n"
    )
    (root / "tools/small/go.mod").write_text(
        f"module example.com/small\n\ngo {go}\n\nrequire example.com/machines v0.0.0\n\n"
        "replace example.com/machines => ../../lab/machines\n\ntool example.com/machines\n"
    )
    (root / "tools/small/go.sum").write_text("")
    (root / "lab/machines/go.mod").write_text(f"module example.com/machines\n\ngo {go}\n")
    (root / "lab/machines/main.go").write_text(MAIN)
    real = ToolboxPaths.of_this_checkout()
    program = bring_go(go, real, os.environ, workshop.display)
    environ = {
        **{name: value for name, value in os.environ.items() if name not in {"CC", "GOFLAGS"}},
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        # A cache that is kept: compiling the standard library takes half a minute.
        "GOCACHE": go_environment(os.environ, real)["GOCACHE"],
    }

    set_up(load_pins(workshop.paths.versions), workshop.paths, environ, workshop.display)

    said = subprocess.run(
        [workshop.paths.bin / "plane"], capture_output=True, text=True, check=True
    ).stdout
    assert said == "plane v5.6.7\n"
    assert [(entry.tool, entry.version, entry.problem) for entry in check(root)] == [
        ("plane", "5.6.7", "")
    ]


def test_a_go_of_another_version_is_not_used(workshop):
    assert find_go("1.25.4", ToolboxPaths(ROOT, workshop.paths.cache), os.environ) is None
