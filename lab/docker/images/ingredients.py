"""What images are made of: programs, files of pinned modules, Debian roots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.toolbox.digest import bin_folder
from firstlight.toolbox.gobuild import build_tools
from firstlight.toolbox.graph import module_folders
from firstlight.toolbox.toolchain import bring_go

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.toolbox import Pins, Places, Tool
    from firstlight.toolbox.progress import Display

TALOS = "github.com/siderolabs/talos"
MACHINERY = "github.com/siderolabs/talos/pkg/machinery"
CILIUM = "github.com/cilium/cilium"
# Set-up builds these for their own sake; here they are taken as they are.
SHARED = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "source-controller",
    "kustomize-controller",
    "helm-controller",
)


@dataclass(frozen=True, slots=True)
class Ingredients:
    """Everything that images are made of, on this computer.

    Attributes:
        programs: Tool of versions.toml -> its static program.
        modules: Go module -> its folder.
        root: The Debian root.
    """

    programs: Mapping[str, Path]
    modules: Mapping[str, Path]
    root: Path


def build_programs(
    pins: Pins, places: Places, environ: Mapping[str, str], display: Display
) -> dict[str, Path]:
    """Have every program that goes into an image, building what is missing."""
    wanted: dict[str, list[Tool]] = {}
    for tool in pins.tools.values():
        if tool.build and (pins.builds[tool.build].on_demand or tool.name in SHARED):
            wanted.setdefault(tool.build, []).append(tool)
    found: dict[str, Path] = {}
    for name, tools in wanted.items():
        build = pins.builds[name]
        build_tools(build, tools, pins=pins, places=places, environ=environ, display=display)
        folder = bin_folder(build, pins, places)
        found |= {tool.name: folder / tool.name for tool in tools}
    return found


def find_modules(
    pins: Pins, places: Places, environ: Mapping[str, str], display: Display
) -> dict[str, Path]:
    """Have the modules whose files go into images, checked against the hashes of their graphs."""
    found: dict[str, Path] = {}
    for name, modules in (("node", (TALOS, MACHINERY)), ("cilium", (CILIUM,))):
        build = pins.builds[name]
        go = bring_go(build.go, places, environ, display)
        found |= module_folders(
            modules, module=places.root / build.module, go=go, environ=environ, display=display
        )
    return found
