"""The definitions in `valid/`, and the overlays in `invalid/`, each of which breaks one rule."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
VALID = HERE / "valid"
INVALID = HERE / "invalid"
TWO_CLUSTERS = VALID / "two-clusters"


@dataclass(frozen=True)
class Case:
    """One folder of `invalid/`.

    Its `expected.yaml` names the valid definition that it changes, the files to remove, what to
    load (a cluster, or `all`), and every problem that must be reported.
    """

    folder: Path
    over: str
    load: str
    without: tuple[str, ...]
    problems: tuple[dict[str, str], ...]

    @classmethod
    def read(cls, folder: Path) -> Case:
        data: dict[str, Any] = yaml.safe_load(
            (folder / "expected.yaml").read_text(encoding="utf-8")
        )
        return cls(
            folder,
            data["over"],
            data["load"],
            tuple(data.get("without", ())),
            tuple(data["problems"]),
        )

    def lay_out(self, root: Path) -> Path:
        """Copy the valid definition, apply the case to it, and return its root."""
        shutil.copytree(VALID / self.over, root, dirs_exist_ok=True)
        return self.lay_over(root)

    def lay_over(self, root: Path) -> Path:
        """Remove and replace the files that the case changes."""
        for name in self.without:
            remove = shutil.rmtree if (root / name).is_dir() else Path.unlink
            remove(root / name)
        shutil.copytree(
            self.folder, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("expected.yaml")
        )
        return root


CASES = tuple(Case.read(folder) for folder in sorted(INVALID.iterdir()) if folder.is_dir())


def edited(root: Path, path: str, old: str, new: str) -> None:
    """Replace one piece of text in a file that must contain it."""
    text = (root / path).read_text(encoding="utf-8")
    assert old in text, f"{path} does not hold {old!r}"
    (root / path).write_text(text.replace(old, new, 1), encoding="utf-8")
