"""Targets on this computer: a lab of this checkout starts one and describes it in `lab.json`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from firstlight.checklist import Capability
from firstlight.errors import TargetError
from firstlight.events import StandInInfo
from firstlight.process import run
from firstlight.target.model import REASONS, Connectivity, Target, state_folder

UP_S: Mapping[str, float] = {
    # Up in seconds; packaging charts for the first time on a busy machine takes longest.
    "simulated": 180.0,
    # Machines start in seconds; the engine may have to pull their image first.
    "docker": 900.0,
    # Six nodes take two minutes; the engine may have to pull their image first.
    "kind": 1500.0,
}
"""Time limit for starting each lab, in seconds."""


def open_lab(
    target: str, cluster: str, checkout: Path, *, on_line: Callable[[str], None]
) -> Target:
    """Start a lab unless it is running, and describe it.

    Args:
        target: `simulated`, `docker` or `kind`.
        cluster: The cluster that the lab plays.
        checkout: The repository.
        on_line: Called with each line that the lab prints.

    Raises:
        TargetError: The lab did not start; the message holds its output.
    """
    words = [sys.executable, "-m", f"lab.{target}", "up", "--cluster", cluster]
    environment = {**os.environ, "PYTHONPATH": f"{checkout / 'src'}:{checkout}"}
    result = run(words, timeout_s=UP_S[target], cwd=checkout, env=environment, on_line=on_line)
    if not result.ok:
        output = "\n            ".join(result.output_tail[-10:])
        raise TargetError(
            f"cannot bring up the {target} target for {cluster}: exit code {result.exit_code}\n"
            f"  output    {output}",
            next_step=f"./task {target}:status CLUSTER={cluster} · "
            f"./task {target}:logs CLUSTER={cluster}",
        )
    return read_lab(state_folder(target, cluster) / "lab.json", target, cluster)


def read_lab(path: Path, target: str, cluster: str) -> Target:
    """Read a lab's description of itself.

    Raises:
        TargetError: The file is missing or not a description.
    """
    try:
        lab = json.loads(path.read_text())
        environment = {
            **os.environ,
            **{key: str(value) for key, value in lab["environment"].items()},
        }
        # A lab terminates every process that carries this mark; we must not.
        environment.pop("FIRSTLIGHT_LAB", None)
        connectivity = lab.get("connectivity", {})
        reasons = {Capability(name): str(why) for name, why in lab.get("reasons", {}).items()}
        return Target(
            name=target,
            cluster=cluster,
            root=Path(lab["tree"]),
            home=Path(lab["home"]),
            state=Path(lab["state"]),
            environment=environment,
            capabilities=frozenset(Capability(name) for name in lab["capabilities"]),
            stand_ins=tuple(StandInInfo(**stand_in) for stand_in in lab["stand_ins"]),
            connectivity=Connectivity(
                flags=tuple(str(flag) for flag in connectivity.get("flags", [])),
                lacks=dict(connectivity.get("lacks", {})),
            ),
            reasons={**REASONS, **reasons},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TargetError(
            f"cannot read the lab's description in {path}: {error}",
            next_step=f"./task {target}:down CLUSTER={cluster}, then try again",
        ) from error
