"""Build the set: roots, programs, layers, storage, the node's archive, and last the record."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.lock import locked
from firstlight.toolbox.fingerprint import bin_folder
from firstlight.toolbox.gobuild import build_tools
from firstlight.toolbox.graph import module_folders
from firstlight.toolbox.paths import LOCK_WAIT_S
from firstlight.toolbox.toolchain import bring_go, remove_caches
from lab.docker.images import debian, storage
from lab.docker.images.contents import CILIUM, MACHINERY, TALOS, Ingredients
from lab.docker.images.image_set import Image, ImageSet, NodeImage, write_record
from lab.docker.images.layers import Entry, kept_layer, key_of, make_layer
from lab.docker.images.layout import architecture, assemble, write_archive
from lab.docker.images.paths import ImagePaths
from lab.docker.images.recipes import Recipe, Under, recipes, static_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from firstlight.toolbox import Pins, Tool, ToolboxPaths
    from firstlight.toolbox.progress import Display
    from lab.docker.images.layers import Layer
    from lab.docker.images.layout import Assembled

# Setup builds these for its own use; the set uses them as they are.
_SHARED = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "source-controller",
    "kustomize-controller",
    "helm-controller",
)
# Measured on two cores: everything except compiling and Debian.
_EXPECTED_S = 60.0
# Measured: Debian roots, layers and the node's archive. Each build reports Go's caches itself.
_NEEDED_MB = 3000


def build(
    pins: Pins, paths: ToolboxPaths, environ: Mapping[str, str], display: Display
) -> ImageSet:
    """Build whatever the user's cache lacks of the set, and return the set.

    It may be interrupted anywhere: each part gets its name when it is finished, and the record is
    written last.
    """
    architecture()
    here = ImagePaths.of(paths, pins)
    with locked(
        here.folder / "lock",
        doing="building the image set",
        wait_s=LOCK_WAIT_S,
        on_wait=display.say,
    ) as lock:
        here.folder.mkdir(parents=True, exist_ok=True)
        free_mb = shutil.disk_usage(here.folder).free // 1_000_000
        display.say(
            f"into {here.folder}; up to {_NEEDED_MB / 1000:.1f} GB of disk besides Go's caches, "
            f"{free_mb / 1000:.1f} GB are free"
        )
        # The previous holder of the lock has ended, so its unfinished parts are unused.
        shutil.rmtree(here.work, ignore_errors=True)
        root = _base_root(here, display, lock)
        programs = _build_programs(pins, paths, environ, display)
        got = Ingredients(programs, _find_modules(pins, paths, environ, display), root)
        found = _assemble(recipes(pins, got), got, here, display, lock)
        write_record(found, here)
        _forget_old(found, here, display)
        remove_caches(environ, paths)
    return found


def _build_programs(
    pins: Pins, paths: ToolboxPaths, environ: Mapping[str, str], display: Display
) -> dict[str, Path]:
    """Return every program that goes into an image; build the missing ones."""
    wanted: dict[str, list[Tool]] = {}
    for tool in pins.tools.values():
        if tool.build and (pins.builds[tool.build].on_demand or tool.name in _SHARED):
            wanted.setdefault(tool.build, []).append(tool)
    found: dict[str, Path] = {}
    for name, tools in wanted.items():
        build = pins.builds[name]
        build_tools(build, tools, pins=pins, paths=paths, environ=environ, display=display)
        folder = bin_folder(build, pins, paths)
        found |= {tool.name: folder / tool.name for tool in tools}
    return found


def _find_modules(
    pins: Pins, paths: ToolboxPaths, environ: Mapping[str, str], display: Display
) -> dict[str, Path]:
    """Return the modules whose files go into images, verified against their graphs' hashes."""
    go = bring_go(pins.go, paths, environ, display)
    found: dict[str, Path] = {}
    for name, modules in (("node", (TALOS, MACHINERY)), ("cilium", (CILIUM,))):
        module = paths.root / pins.builds[name].module
        found |= module_folders(
            modules, module=module, go=go, paths=paths, environ=environ, display=display
        )
    return found


def _base_root(here: ImagePaths, display: Display, lock: int) -> Path:
    """Return the Debian root. It is built under another name, so one with this name is complete."""
    root = here.roots / f"base-{debian.digest(debian.BASE)}"
    if not root.is_dir():
        partial = here.work / "base"
        partial.parent.mkdir(parents=True, exist_ok=True)
        debian.make_root(partial, display, lock)
        root.parent.mkdir(parents=True, exist_ok=True)
        partial.rename(root)
    return root


def _assemble(
    wanted: list[Recipe], got: Ingredients, here: ImagePaths, display: Display, lock: int
) -> ImageSet:
    lower = _lower_layers(got, here, display, lock)
    display.begin(f"{len(wanted)} images", _EXPECTED_S)
    images: list[Image] = []
    made = 0
    node: NodeImage
    for number, recipe in enumerate(wanted):
        display.update(number, len(wanted), f"images, {recipe.reference}")
        image = assemble([*lower[recipe.under], _layer(_own(recipe, got), here)], recipe.start)
        if not storage.is_stored(image, recipe.reference, here):
            storage.store(image, recipe.reference, here)
            made += 1
        images.append(Image(recipe.reference, image.digest, recipe.stands_for))
        if recipe.reference == wanted[0].reference:
            node = _archive(image, recipe.reference, here)
    display.end(f"{made} new")
    storage.write_config(here)
    return ImageSet(here.storage, got.programs["registry"], here.serve_config, node, tuple(images))


def _lower_layers(
    got: Ingredients, here: ImagePaths, display: Display, lock: int
) -> dict[Under, list[Layer]]:
    """Return the layers below the images' own layers."""
    static = _layer(static_entries(got.root), here)
    base = kept_layer(_root_key(got.root), here)
    if base is None:
        display.begin("layer of the Debian root", 20)
        base = make_layer(_root_key(got.root), list(debian.entries_of(got.root)), here)
        display.end(f"{base.size // 1_000_000} MB")
    key = f"{_root_key(got.root)}-{debian.digest(debian.COMPILER)}"
    compiler = kept_layer(key, here)
    if compiler is None:
        root = here.work / "compiler"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        debian.add_packages(got.root, root, debian.COMPILER, display, lock)
        display.begin("layer of the compiler", 30)
        compiler = make_layer(key, list(debian.entries_of(root, beyond=got.root)), here)
        shutil.rmtree(root)
        display.end(f"{compiler.size // 1_000_000} MB")
    return {Under.STATIC: [static], Under.BASE: [base], Under.COMPILER: [base, compiler]}


def _root_key(root: Path) -> str:
    return f"debian-{root.name}"


def _own(recipe: Recipe, got: Ingredients) -> list[Entry]:
    programs = [Entry(path, source=got.programs[tool]) for path, tool in recipe.programs.items()]
    return [*programs, *recipe.more]


def _layer(entries: Iterable[Entry], here: ImagePaths) -> Layer:
    found = list(entries)
    key = key_of(found)
    return kept_layer(key, here) or make_layer(key, found, here)


def _archive(image: Assembled, reference: str, here: ImagePaths) -> NodeImage:
    """Return the archive of the machines' image; write it if it is missing."""
    here.nodes.mkdir(parents=True, exist_ok=True)
    file = here.nodes / f"{image.identifier.removeprefix('sha256:')[:16]}.tar"
    if not file.is_file():
        partial = here.work / "node.tar"
        partial.parent.mkdir(parents=True, exist_ok=True)
        write_archive(image, reference, partial, here)
        partial.replace(file)
    return NodeImage(reference, image.identifier, file)


def _forget_old(found: ImageSet, here: ImagePaths, display: Display) -> None:
    """Remove what only older sets used.

    A checkout with other versions rebuilds its own set from Go's caches.
    """
    for file in here.nodes.iterdir():
        if file != found.node.archive:
            file.unlink()
    freed = storage.prune(here)
    if freed:
        display.say(f"{freed // 1_000_000} MB of replaced images removed")
