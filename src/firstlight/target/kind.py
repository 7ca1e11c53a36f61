"""The kind target: Kubernetes in containers on this computer, without Talos, of `lab/kind`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from firstlight.target.lab import open_lab
from firstlight.target.model import Target

UP_S = 1500.0
"""Six nodes take two minutes; the engine may have to pull their image first."""


def open_kind(cluster: str, checkout: Path, *, on_line: Callable[[str], None]) -> Target:
    """Bring the nodes up, or find them up, and describe them.

    Raises:
        TargetError: They do not come up; the lab's own words say why.
    """
    return open_lab("kind", cluster, checkout, up_s=UP_S, on_line=on_line)
