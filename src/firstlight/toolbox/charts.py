"""Assemble Helm charts from pinned modules: custom resource definitions from their files, or a chart that a module holds whole."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError
from firstlight.toolbox.graph import module_folders

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from firstlight.toolbox.paths import Places
    from firstlight.toolbox.pins import ChartPin
    from firstlight.toolbox.progress import Display

# Uninstalling a release must never delete definitions, because that deletes every resource of those kinds.
_KEEP = "    helm.sh/resource-policy: keep\n"
# Helm does not read `.Files` as templates, so braces in descriptions stay as they are.
_TEMPLATE = """{{- range $path, $content := .Files.Glob "files/*.yaml" }}
---
{{ $.Files.Get $path }}
{{- end }}
"""


def assemble(
    pin: ChartPin, *, go: Path, places: Places, environ: Mapping[str, str], display: Display
) -> Path:
    """Write the chart anew and return its folder; it is replaced as a whole."""
    module = places.root / pin.module
    folders = module_folders(
        list(pin.files), module=module, go=go, environ=environ, display=display
    )
    chart = places.charts / pin.name
    # Set-up holds the checkout's lock, so what a killed one left there is nobody's.
    partial = places.charts / f".{pin.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    if pin.whole:
        _copy(pin, folders, partial)
    else:
        _gather(pin, folders, partial)
    shutil.rmtree(chart, ignore_errors=True)
    partial.rename(chart)
    return chart


def _copy(pin: ChartPin, folders: Mapping[str, Path], partial: Path) -> None:
    """Copy a whole chart; Go's module cache is read-only, a copy of ours must not be."""
    ((name, folder),) = folders.items()
    try:
        # Contents alone: what Go keeps is read-only, and so would the copy be, folders and all.
        shutil.copytree(folder / pin.whole, partial, copy_function=shutil.copyfile)
    except OSError as error:
        raise FirstlightError(
            f"cannot assemble {pin.name}: {name} has no chart at {pin.whole}: {error}"
        ) from error
    for path in (partial, *partial.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    named = f"\nversion: {pin.version}\n"
    if named not in (partial / "Chart.yaml").read_text():
        raise FirstlightError(
            f"cannot assemble {pin.name}: the chart of {name} does not say version {pin.version}"
        )


def _gather(pin: ChartPin, folders: Mapping[str, Path], partial: Path) -> None:
    """Gather definitions into a chart of their own."""
    (partial / "files").mkdir(parents=True)
    (partial / "templates").mkdir()
    for name, patterns in pin.files.items():
        for pattern in patterns:
            found = [path for path in sorted(folders[name].glob(pattern)) if _is_definition(path)]
            if not found:
                raise FirstlightError(
                    f"cannot assemble {pin.name}: {name} has no definitions at {pattern}"
                )
            for path in found:
                (partial / "files" / path.name).write_text(
                    kept_by_helm(path.read_text(), path.name)
                )
    (partial / "templates" / "crds.yaml").write_text(_TEMPLATE)
    (partial / "Chart.yaml").write_text(
        f"apiVersion: v2\nname: {pin.name}\nversion: {pin.version}\nappVersion: {pin.version}\n"
        "description: Custom resource definitions of the pinned upstream release, unchanged but for one annotation.\n"
    )


def kept_by_helm(text: str, name: str) -> str:
    """Add the annotation by which Helm leaves the definition alone when its release goes.

    It is added to the text, because a round trip through a YAML library would change what upstream wrote.
    """
    lines = text.removeprefix("---\n").splitlines(keepends=True)
    try:
        metadata = lines.index("metadata:\n")
    except ValueError as error:
        raise FirstlightError(f"cannot annotate {name}: it has no top-level metadata") from error
    for number in range(metadata + 1, len(lines)):
        if not lines[number].startswith(" "):
            break
        if lines[number] == "  annotations:\n":
            return "".join([*lines[: number + 1], _KEEP, *lines[number + 1 :]])
    return "".join([*lines[: metadata + 1], "  annotations:\n", _KEEP, *lines[metadata + 1 :]])


def _is_definition(path: Path) -> bool:
    return "\nkind: CustomResourceDefinition\n" in path.read_text()
