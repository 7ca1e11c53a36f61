"""A checkout with two tools, and a fake Go."""

from __future__ import annotations

import io
import os
import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firstlight.toolbox.paths import ToolboxPaths
from firstlight.toolbox.progress import PlainDisplay

VERSIONS = """
go = "9.9.9"

[builds.small]
module = "tools/small"
sources = ["lab/machines"]
sources_s = 5
expected_s = 120
disk_mb = 10
kept_mb = 10

[tools.hammer]
version = "1.2.3"
build = "small"
package = "example.com/hammer/cmd/hammer"
source = "example.com/hammer"
stamps = ["main.version=v{version}"]
ask = ["--version"]
answer = 'hammer v(\\S+)'
mise = "hammer"

[tools.chisel]
version = "0.4.0"
build = "small"
package = "example.com/chisel/v2"
source = "example.com/chisel/v2"
binary = "chisel-server"

[charts.wood-crds]
version = "3.0.0"
module = "tools/small"
files = { "example.com/wood" = ["crds/*.yaml"] }

[charts.shed]
version = "2.0.0"
module = "tools/small"
source = "example.com/wood"
whole = "charts/shed"
"""

DEFINITION = """---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations:
    made.by: upstream
  name: planks.wood.example.com
spec:
  description: 'braces {{ .Values.x }} stay'
"""

# Writes each program in two halves, and sources the file `between` in the middle.
GO = """#!/bin/sh
set -eu
here={here}
echo "$*" >>"$here/calls"
case "$1" in
  version) echo "go version go9.9.9 test/test" ;;
  mod) echo '{{"Path": "example.com/wood", "Version": "v3.0.0", "Dir": "{here}/wood"}}' ;;
  list)
    echo "go: downloading example.com/hammer v1.2.3" >&2
    printf '%s\\n' fmt os example.com/hammer/cmd/hammer example.com/chisel/v2
    ;;
  build)
    while [ "$1" != -o ]; do shift; done
    out=$2
    shift 2
    for package in "$@"; do
      case "$package" in */hammer) name=hammer ;; *) name=chisel-server ;; esac
      echo "$package" >&2
      printf '#!/bin/sh\\n' >"$out$name"
      if [ -f "$here/between" ]; then . "$here/between"; fi
      printf 'echo %s v1.2.3\\n' "$name" >>"$out$name"
      chmod +x "$out$name"
    done
    ;;
esac
"""


@dataclass
class Workshop:
    """The checkout, its cache, the output of setup, and the calls of Go."""

    paths: ToolboxPaths
    environ: dict[str, str]
    go_home: Path
    shown: io.StringIO = field(default_factory=io.StringIO)

    @property
    def display(self) -> PlainDisplay:
        return PlainDisplay(self.shown)

    @property
    def go_calls(self) -> list[str]:
        calls = self.go_home / "calls"
        return (
            [line.split()[0] for line in calls.read_text().splitlines()] if calls.exists() else []
        )

    def between_halves(self, script: str) -> None:
        (self.go_home / "between").write_text(script)

    def built(self) -> list[str]:
        return sorted(path.name for path in self.paths.built.glob("small-*/bin/*"))


def write_program(path: Path, text: str) -> Path:
    """Write an executable in one step, so it is never started while it is open for writing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(0o755)
    fresh.replace(path)
    return path


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    root, cache = tmp_path / "checkout", tmp_path / "cache"
    for name, text in {
        "tools/versions.toml": VERSIONS,
        "tools/small/go.mod": "module example.com/small\n",
        "tools/small/go.sum": "example.com/hammer v1.2.3 h1:aaaa=\n",
        "lab/machines/main.go": "package main\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    go_home = cache / "go" / f"9.9.9-{sys.platform}-{platform.machine()}"
    write_program(go_home / "go" / "bin" / "go", GO.format(here=go_home))
    (go_home / "wood" / "crds").mkdir(parents=True)
    (go_home / "wood" / "crds" / "planks.yaml").write_text(DEFINITION)
    (go_home / "wood" / "crds" / "kustomization.yaml").write_text("kind: Kustomization\n")
    shed = go_home / "wood" / "charts" / "shed"
    (shed / "templates").mkdir(parents=True)
    (shed / "Chart.yaml").write_text("name: shed\nversion: 2.0.0\n")
    (shed / "templates" / "roof.yaml").write_text("kind: Roof\n")
    # Read-only, like Go's module cache.
    for path in (*shed.rglob("*"), shed):
        path.chmod(0o555 if path.is_dir() else 0o444)
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path / "home"),
        "LC_ALL": os.environ.get("LC_ALL", "C"),
    }
    return Workshop(ToolboxPaths(root, cache), environ, go_home)


@pytest.fixture
def program():
    return write_program
