"""Remember a complete set-up by the sizes and times of its files, so that the next one is over at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.files import write_atomically
from firstlight.toolbox.digest import input_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.toolbox.paths import Places
    from firstlight.toolbox.pins import Pins

# A stamp of another form is none.
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Inputs:
    """Sizes and times of the files that set-up starts from, and the times of the folders that hold sources."""

    files: Mapping[str, list[int]]
    folders: Mapping[str, int]


def is_fresh(places: Places) -> bool:
    """Report whether everything still is as the last complete set-up left it."""
    try:
        kept = json.loads(places.stamp.read_text())
        if kept["format"] != _FORMAT or kept["root"] != str(places.root):
            return False
        seen = {path: _state(Path(path)) for path in kept["files"]}
        sources = {folder: _newest(Path(folder)) for folder in kept["folders"]}
    except (OSError, ValueError, KeyError, TypeError):
        # No stamp, or one that is not ours: then the set-up is done in full, which writes a good one.
        return False
    return bool(seen == kept["files"] and sources == kept["folders"])


def read_inputs(pins: Pins, places: Places) -> Inputs:
    """Return the state of everything that set-up starts from; taken first, so that what changes meanwhile is seen."""
    files = {
        places.versions,
        *(file for build in pins.builds.values() for file in input_files(build, places)),
    }
    files |= {
        places.root / chart.module / name
        for chart in pins.charts.values()
        for name in ("go.mod", "go.sum")
    }
    folders = {places.root / source for build in pins.builds.values() for source in build.sources}
    return Inputs(
        files={str(path): _state(path) for path in sorted(files)},
        folders={str(path): _newest(path) for path in sorted(folders)},
    )


def write_stamp(inputs: Inputs, pins: Pins, places: Places) -> None:
    """Write what `is_fresh` compares with: the inputs as they were, and what was made from them as it is."""
    made = [
        *(places.bin / name for name in pins.tools),
        *(places.charts / name / "Chart.yaml" for name in pins.charts),
    ]
    content = {
        "format": _FORMAT,
        "root": str(places.root),
        "files": {**inputs.files, **{str(path): _state(path) for path in made}},
        "folders": inputs.folders,
    }
    write_atomically(places.stamp, json.dumps(content, indent=1), mode=None)


def _state(path: Path) -> list[int]:
    """Return what tells a changed file: links are followed, so a tool that was replaced behind one is seen."""
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def _newest(folder: Path) -> int:
    """Return a number that changes when files are added to or removed from the folder's tree."""
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    return max(path.stat().st_mtime_ns for path in folders)
