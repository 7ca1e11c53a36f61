"""Replace a file of the report in one step, so that a reader sees the old one or the new one, never a part."""

from __future__ import annotations

import os
from pathlib import Path

from firstlight.files import sweep


def replace_text(path: Path, text: str) -> None:
    """Replace a file's text through a neighbour that is renamed over it.

    Each process has its own: several plans may be made at once. What one left behind that was killed goes with the next one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path)
    neighbour = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        neighbour.write_text(text, encoding="utf-8")
        neighbour.replace(path)
    except BaseException:
        neighbour.unlink(missing_ok=True)
        raise
