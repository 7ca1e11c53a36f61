"""Replace a file of the report in one step, so that a reader sees the old one or the new one, never a part."""

from __future__ import annotations

from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Replace a file's text through a neighbour that is renamed over it, always the same one: a run that is killed meanwhile leaves no more."""
    path.parent.mkdir(parents=True, exist_ok=True)
    neighbour = path.with_name(f".{path.name}.new")
    try:
        neighbour.write_text(text, encoding="utf-8")
        neighbour.replace(path)
    except BaseException:
        neighbour.unlink(missing_ok=True)
        raise
