"""Make a module graph buildable: a go.mod beside the committed one, with copies of the modules that need a file added."""

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

    from firstlight.toolbox.paths import Places
    from firstlight.toolbox.progress import Display

# The largest module, Cilium, is a download of about 100 MB.
_DOWNLOAD_S = 1800.0


def make_modfile(
    module: Path,
    placeholders: Mapping[str, str],
    folder: Path,
    *,
    go: Path,
    places: Places,
    environ: Mapping[str, str],
    display: Display,
) -> Path:
    """Write the graph's go.mod and go.sum into the folder and return that go.mod.

    A file cannot be added to a module in Go's module cache, not even by an overlay, so the module is copied and
    the go.mod points to the copy.
    """
    modfile = folder / "go.mod"
    text = (module / "go.mod").read_text()
    if placeholders:
        folders = module_folders(
            list(placeholders), module=module, go=go, environ=environ, display=display
        )
        for name, file in placeholders.items():
            # Quoted, because a home may have a blank in its name; Go reads the quotes of JSON as its own.
            text += (
                f"\nreplace {name} => {json.dumps(str(_copy_with(folders[name], file, places)))}\n"
            )
    modfile.write_text(text)
    shutil.copyfile(module / "go.sum", folder / "go.sum")
    return modfile


def module_folders(
    modules: Sequence[str], *, module: Path, go: Path, environ: Mapping[str, str], display: Display
) -> dict[str, Path]:
    """Download modules of a graph, checked against its go.sum, and return where each lies."""
    with tempfile.TemporaryDirectory() as scratch:
        # Go writes the hashes that it misses into go.sum; it gets a copy, because a checkout is never changed.
        modfile, sums = Path(scratch) / "go.mod", Path(scratch) / "go.sum"
        shutil.copyfile(module / "go.mod", modfile)
        shutil.copyfile(module / "go.sum", sums)
        outcome = run(
            [str(go), "mod", "download", f"-modfile={modfile}", "-json", *modules],
            timeout_s=_DOWNLOAD_S,
            env=go_environment(environ),
            cwd=module,
            on_tick=display.tick,
        )
        known = (module / "go.sum").read_text().splitlines()
        added = set(sums.read_text().splitlines()).difference(known)
    if added:
        raise FirstlightError(
            f"cannot trust {', '.join(modules)}: {module / 'go.sum'} has no hash for it: {min(added)}",
            next_step="./task tools:lock",
        )
    found: dict[str, Path] = {}
    errors = []
    for entry in _objects(outcome.stdout):
        if "Error" in entry:
            errors.append(str(entry["Error"]))
        elif "Dir" in entry:
            found[str(entry["Path"])] = Path(str(entry["Dir"]))
    missing = [name for name in modules if name not in found]
    if missing:
        seen = "\n".join(errors) or outcome.tail()
        raise FirstlightError(
            f"cannot download {', '.join(missing)} for {module.name}: go {outcome.ending}\n{seen}",
            next_step="see that Go modules can be downloaded here (go env GOPROXY), then run ./task tools:setup again",
        )
    return found


def tag_words(tags: Sequence[str]) -> list[str]:
    """Return the words by which Go is told its build tags."""
    return [f"-tags={','.join(tags)}"] if tags else []


def _objects(text: str) -> list[dict[str, object]]:
    """Read the JSON objects that follow one another in the text."""
    decoder, position, found = json.JSONDecoder(), 0, []
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        value, position = decoder.raw_decode(text, position)
        found.append(value)
    return found


def _copy_with(original: Path, file: str, places: Places) -> Path:
    """Copy a module once and add the file; the copy is complete if it is there at all."""
    copy = places.built / "sources" / f"{original.parent.name}-{original.name}"
    if (copy / file).is_file():
        return copy
    partial = copy.with_name(f"{copy.name}.partial")
    for leftover in (partial, copy):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    # The module cache is read-only; only the folders' modes matter to us, files are never written to.
    shutil.copytree(original, partial, copy_function=shutil.copyfile)
    for folder in (partial, *(path for path in partial.rglob("*") if path.is_dir())):
        folder.chmod(folder.stat().st_mode | stat.S_IRWXU)
    added = partial / file
    added.parent.mkdir(parents=True, exist_ok=True)
    added.write_text("# Stands where a release has manifests; the module does not carry them.\n")
    partial.rename(copy)
    return copy
