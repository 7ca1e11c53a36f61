"""The simulated target: machines, API server and Git remote of `lab/simulated`, all on loopback addresses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from firstlight.target.lab import open_lab
from firstlight.target.model import Target

UP_S = 180.0
"""The lab is up in seconds; packaging charts on a busy machine for the first time takes longest."""


def open_simulated(cluster: str, checkout: Path, *, on_line: Callable[[str], None]) -> Target:
    """Bring the lab up, or find it up, and describe it.

    Raises:
        TargetError: It does not come up; the lab's own words say why.
    """
    return open_lab("simulated", cluster, checkout, up_s=UP_S, on_line=on_line)
