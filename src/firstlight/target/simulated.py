"""The simulated target: machines, API server and Git remote of `lab/simulated`, all on loopback addresses."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from firstlight.errors import TargetError
from firstlight.events import StandInInfo
from firstlight.target.model import Capability, Target, state_folder
from firstlight.tools.process import run

UP_S = 180.0
"""The lab is up in seconds; packaging charts on a busy machine for the first time takes longest."""


def open_simulated(cluster: str, checkout: Path, *, on_line: Callable[[str], None]) -> Target:
    """Bring the lab up, or find it up, and describe it.

    Raises:
        TargetError: It does not come up; the lab's own words say why.
    """
    words = [sys.executable, "-m", "lab.simulated", "up", "--cluster", cluster]
    path = f"{checkout / 'src'}:{checkout}"
    result = run(words, timeout_s=UP_S, cwd=checkout, env={**os.environ, "PYTHONPATH": path}, on_line=on_line)
    if not result.ok:
        said = "\n            ".join(result.output_tail[-10:])
        raise TargetError(
            f"cannot bring up the simulated target for {cluster}: exit code {result.exit_code}\n  output    {said}",
            next_step=f"./task simulated:status CLUSTER={cluster} · ./task simulated:logs CLUSTER={cluster}",
        )
    return read_lab(state_folder("simulated", cluster) / "lab.json", cluster)


def read_lab(path: Path, cluster: str) -> Target:
    """Describe a lab from what it wrote about itself.

    Raises:
        TargetError: The file is missing or not the lab's.
    """
    try:
        lab = json.loads(path.read_text())
        environment = {**os.environ, **{key: str(value) for key, value in lab["environment"].items()}}
        # The mark by which the lab ends its own processes must not be on ours.
        environment.pop("FIRSTLIGHT_LAB", None)
        return Target(
            name="simulated",
            cluster=cluster,
            root=Path(lab["tree"]),
            home=Path(lab["home"]),
            state=Path(lab["state"]),
            environment=environment,
            capabilities=frozenset(Capability(name) for name in lab["capabilities"]),
            stand_ins=tuple(StandInInfo(**stand_in) for stand_in in lab["stand_ins"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TargetError(
            f"cannot read what the lab says about itself in {path}: {error}", next_step=f"./task simulated:down CLUSTER={cluster}, then again"
        ) from error
