"""Make a module graph buildable: a go.mod that points to copies of modules that lack a file."""

from __future__ import annotations

import json
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError
from firstlight.process import run
from firstlight.toolbox.toolchain import go_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firstlight.toolbox.paths import ToolboxPaths
    from firstlight.toolbox.progress import Display

_DOWNLOAD_S = 1800.0
"""The largest module, Cilium, is a download of about 100 MB."""


def make_modfile(
    module: Path,
    placeholders: Mapping[str, str],
    folder: Path,
    *,
    go: Path,
    paths: ToolboxPaths,
    environ: Mapping[str, str],
    display: Display,
) -> Path:
    """Write the graph's go.mod and go.sum into a folder, and return that go.mod.

    Go allows no file to be added to a module in its cache, not even with an overlay. So the module
    is copied, and go.mod points to the copy.

    Raises:
        FirstlightError: A module cannot be downloaded, or has no hash in go.sum.
    """
    modfile = folder / "go.mod"
    text = (module / "go.mod").read_text()
    if placeholders:
        folders = module_folders(
            list(placeholders), module=module, go=go, paths=paths, environ=environ, display=display
        )
        for name, file in placeholders.items():
            # Quoted, because the path of a home may contain blanks; Go reads JSON's quotes.
            copy = json.dumps(str(_copy_with(folders[name], file, paths)))
            text += f"\nreplace {name} => {copy}\n"
    modfile.write_text(text)
    shutil.copyfile(module / "go.sum", folder / "go.sum")
    return modfile


def module_folders(
    modules: Sequence[str],
    *,
    module: Path,
    go: Path,
    paths: ToolboxPaths,
    environ: Mapping[str, str],
    display: Display,
) -> dict[str, Path]:
    """Download modules of a graph, check them against its go.sum, and return their folders.

    Raises:
        FirstlightError: A module cannot be downloaded, or has no hash in go.sum.
    """
    with tempfile.TemporaryDirectory() as scratch:
        # Go adds missing hashes to go.sum; it gets a copy, so that the checkout never changes.
        modfile, sums = Path(scratch) / "go.mod", Path(scratch) / "go.sum"
        shutil.copyfile(module / "go.mod", modfile)
        shutil.copyfile(module / "go.sum", sums)
        result = run(
            [str(go), "mod", "download", f"-modfile={modfile}", "-json", *modules],
            timeout_s=_DOWNLOAD_S,
            env=go_environment(environ, paths),
            cwd=module,
            on_tick=display.tick,
        )
        known = (module / "go.sum").read_text().splitlines()
        added = set(sums.read_text().splitlines()).difference(known)
    if added:
        raise FirstlightError(
            f"cannot trust {', '.join(modules)}: {module / 'go.sum'} has no hash for {min(added)}",
            next_step="./task tools:lock",
        )
    found: dict[str, Path] = {}
    errors = []
    for entry in _objects(result.stdout):
        if "Error" in entry:
            errors.append(str(entry["Error"]))
        elif "Dir" in entry:
            found[str(entry["Path"])] = Path(str(entry["Dir"]))
    missing = [name for name in modules if name not in found]
    if missing:
        seen = "\n".join(errors) or result.tail()
        raise FirstlightError(
            f"cannot download {', '.join(missing)} for {module.name}: go {result.ending}\n{seen}",
            next_step="check that Go modules can be downloaded here (go env GOPROXY), "
            "then run ./task tools:setup again",
        )
    return found


def tag_words(tags: Sequence[str]) -> list[str]:
    """Return the command-line flag for build tags."""
    return [f"-tags={','.join(tags)}"] if tags else []


def _objects(text: str) -> list[dict[str, object]]:
    """Read concatenated JSON objects."""
    decoder, position, found = json.JSONDecoder(), 0, []
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        value, position = decoder.raw_decode(text, position)
        found.append(value)
    return found


def _copy_with(original: Path, file: str, paths: ToolboxPaths) -> Path:
    """Copy a module once and add a file; a copy that exists is complete."""
    copy = paths.built / "sources" / f"{original.parent.name}-{original.name}"
    if (copy / file).is_file():
        return copy
    partial = copy.with_name(f"{copy.name}.partial")
    for leftover in (partial, copy):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    # The module cache is read-only. We add files to folders, but never write to existing files.
    shutil.copytree(original, partial, copy_function=shutil.copyfile)
    for folder in (partial, *(path for path in partial.rglob("*") if path.is_dir())):
        folder.chmod(folder.stat().st_mode | stat.S_IRWXU)
    added = partial / file
    added.parent.mkdir(parents=True, exist_ok=True)
    added.write_text(
        "# A placeholder for a release's manifests, which the module does not contain.\n"
    )
    partial.rename(copy)
    return copy
