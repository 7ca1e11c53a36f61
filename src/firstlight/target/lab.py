"""Targets that a lab of this checkout plays: brought up by the lab's own command line, described by the lab's own words."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firstlight.checklist import Capability
from firstlight.errors import TargetError
from firstlight.events import StandInInfo
from firstlight.process import run
from firstlight.target.connectivity import Connectivity
from firstlight.target.model import REASONS, Target, state_folder


def open_lab(
    target: str, cluster: str, checkout: Path, *, up_s: float, on_line: Callable[[str], None]
) -> Target:
    """Bring a lab up, or find it up, and describe it.

    Args:
        target: Whose lab: `simulated`, `docker` or `kind`.
        cluster: The cluster that it plays.
        checkout: The repository.
        up_s: How long that may take, in seconds.
        on_line: Is told each line that the lab says.

    Raises:
        TargetError: It does not come up; the lab's own words say why.
    """
    words = [sys.executable, "-m", f"lab.{target}", "up", "--cluster", cluster]
    path = f"{checkout / 'src'}:{checkout}"
    result = run(
        words, timeout_s=up_s, cwd=checkout, env={**os.environ, "PYTHONPATH": path}, on_line=on_line
    )
    if not result.ok:
        said = "\n            ".join(result.output_tail[-10:])
        raise TargetError(
            f"cannot bring up the {target} target for {cluster}: exit code {result.exit_code}\n  output    {said}",
            next_step=f"./task {target}:status CLUSTER={cluster} · ./task {target}:logs CLUSTER={cluster}",
        )
    return read_lab(state_folder(target, cluster) / "lab.json", target, cluster)


def read_lab(path: Path, target: str, cluster: str) -> Target:
    """Describe a lab from what it wrote about itself.

    Raises:
        TargetError: The file is missing or not the lab's.
    """
    try:
        lab = json.loads(path.read_text())
        environment = {
            **os.environ,
            **{key: str(value) for key, value in lab["environment"].items()},
        }
        # The mark by which the lab ends its own processes must not be on ours.
        environment.pop("FIRSTLIGHT_LAB", None)
        return Target(
            name=target,
            cluster=cluster,
            root=Path(lab["tree"]),
            home=Path(lab["home"]),
            state=Path(lab["state"]),
            environment=environment,
            capabilities=frozenset(Capability(name) for name in lab["capabilities"]),
            stand_ins=tuple(StandInInfo(**stand_in) for stand_in in lab["stand_ins"]),
            connectivity=_connectivity(lab.get("connectivity", {})),
            reasons={
                **REASONS,
                **{
                    Capability(name): str(reason) for name, reason in lab.get("reasons", {}).items()
                },
            },
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TargetError(
            f"cannot read what the lab says about itself in {path}: {error}",
            next_step=f"./task {target}:down CLUSTER={cluster}, then again",
        ) from error


def _connectivity(said: dict[str, Any]) -> Connectivity:
    lacks: dict[str, str] = said.get("lacks", {})
    return Connectivity(flags=tuple(str(flag) for flag in said.get("flags", [])), lacks=dict(lacks))
