"""The paths that the toolbox reads and writes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCK_WAIT_S = 3600.0
"""Longer than the longest build on a slow machine."""


@dataclass(frozen=True, slots=True)
class ToolboxPaths:
    """Paths in a checkout, and in the user's cache, which outlives it."""

    root: Path
    cache: Path

    @classmethod
    def of_this_checkout(cls, environ: Mapping[str, str] = os.environ) -> ToolboxPaths:
        """Return the paths of the checkout that this file belongs to."""
        # The XDG specification says to ignore a relative or empty XDG_CACHE_HOME.
        chosen = Path(environ.get("XDG_CACHE_HOME", ""))
        base = chosen if chosen.is_absolute() else Path.home() / ".cache"
        return cls(root=Path(__file__).resolve().parents[3], cache=base / "firstlight")

    @property
    def versions(self) -> Path:
        """The pinned versions."""
        return self.root / "tools" / "versions.toml"

    @property
    def bin(self) -> Path:
        """The folder with one link per tool, for PATH."""
        return self.root / ".tools" / "bin"

    @property
    def charts(self) -> Path:
        """The folder of the assembled charts."""
        return self.root / ".tools" / "charts"

    @property
    def stamp(self) -> Path:
        """The record of the last complete setup."""
        return self.root / ".tools" / "stamp.json"

    @property
    def setup_lock(self) -> Path:
        """Held while `.tools` changes."""
        return self.root / ".tools" / "setup.lock"

    @property
    def built(self) -> Path:
        """The folder of all builds, shared by all checkouts of this user."""
        return self.cache / "tools"

    @property
    def venv_bin(self) -> Path:
        """The programs of the checkout's Python environment."""
        return self.root / ".venv" / "bin"
