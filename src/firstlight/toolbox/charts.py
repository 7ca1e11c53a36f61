"""Assemble Helm charts from pinned modules: from files with CRDs, or from a whole chart."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError
from firstlight.toolbox.graph import module_folders

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.toolbox.paths import ToolboxPaths
    from firstlight.toolbox.pins import ChartPin
    from firstlight.toolbox.progress import Display

_KEEP = "    helm.sh/resource-policy: keep\n"
"""Keeps the CRDs when a release is uninstalled; deleting one deletes all resources of its kind."""

# Helm does not render `.Files` as templates, so braces in descriptions are safe.
_TEMPLATE = """{{- range $path, $content := .Files.Glob "files/*.yaml" }}
---
{{ $.Files.Get $path }}
{{- end }}
"""


def chart_folder(pin: ChartPin, paths: ToolboxPaths) -> Path:
    """Return the folder in the user's cache for a chart from these modules."""
    digest = hashlib.sha256(f"{pin}\0{_KEEP}\0{_TEMPLATE}\0".encode())
    for line in (paths.root / pin.module / "go.sum").read_text().splitlines():
        if line.split()[0] in pin.files:
            digest.update(f"{line}\0".encode())
    return paths.built / "charts" / f"{pin.name}-{digest.hexdigest()[:16]}"


def assemble(
    pin: ChartPin, *, go: Path, paths: ToolboxPaths, environ: Mapping[str, str], display: Display
) -> None:
    """Assemble a chart into its folder in the user's cache, as a whole.

    Raises:
        FirstlightError: A module does not contain what the pin names.
    """
    module = paths.root / pin.module
    folders = module_folders(
        list(pin.files), module=module, go=go, paths=paths, environ=environ, display=display
    )
    chart = chart_folder(pin, paths)
    chart.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=chart.parent) as scratch:
        partial = Path(scratch) / "chart"
        if pin.whole:
            _copy(pin, folders, partial)
        else:
            _gather(pin, folders, partial)
        if not chart.is_dir():
            partial.rename(chart)


def _copy(pin: ChartPin, folders: Mapping[str, Path], partial: Path) -> None:
    """Copy a whole chart and make it writable; Go's module cache is read-only."""
    ((name, folder),) = folders.items()
    try:
        # Copy contents without modes.
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
            f"cannot assemble {pin.name}: the chart of {name} does not have version {pin.version}"
        )


def _gather(pin: ChartPin, folders: Mapping[str, Path], partial: Path) -> None:
    """Gather CRDs into a new chart."""
    (partial / "files").mkdir(parents=True)
    (partial / "templates").mkdir()
    for name, patterns in pin.files.items():
        for pattern in patterns:
            found = [path for path in sorted(folders[name].glob(pattern)) if _is_definition(path)]
            if not found:
                raise FirstlightError(
                    f"cannot assemble {pin.name}: {name} has no CRDs at {pattern}"
                )
            for path in found:
                (partial / "files" / path.name).write_text(
                    kept_by_helm(path.read_text(), path.name)
                )
    (partial / "templates" / "crds.yaml").write_text(_TEMPLATE)
    (partial / "Chart.yaml").write_text(
        f"apiVersion: v2\nname: {pin.name}\nversion: {pin.version}\nappVersion: {pin.version}\n"
        "description: CRDs of the pinned upstream release, unchanged except for one annotation.\n"
    )


def kept_by_helm(text: str, name: str) -> str:
    """Add the annotation that makes Helm keep a CRD when its release is uninstalled.

    The text is edited, because a round trip through a YAML library would change upstream's text.

    Raises:
        FirstlightError: The text has no top-level metadata.
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
