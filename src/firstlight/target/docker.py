"""The docker target: real Talos machines in containers on this computer, of `lab/docker`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from firstlight.target.lab import open_lab
from firstlight.target.model import Target

UP_S = 900.0
"""Machines start in seconds; the engine may have to pull their image first."""


def open_docker(cluster: str, checkout: Path, *, on_line: Callable[[str], None]) -> Target:
    """Bring the machines up, or find them up, and describe them.

    Raises:
        TargetError: They do not come up; the lab's own words say why.
    """
    return open_lab("docker", cluster, checkout, up_s=UP_S, on_line=on_line)
