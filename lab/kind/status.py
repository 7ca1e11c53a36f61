"""What a kind lab looks like from outside: its engine, its nodes, its Git server, and how their logs end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from firstlight.errors import FirstlightError
from lab.docker.engine import Engine, find_engine
from lab.docker.status import with_consoles
from lab.kind.nodes import CLUSTER_LABEL
from lab.kind.settings import kind_of
from lab.simulated import processes
from lab.simulated.paths import LabPaths
from lab.simulated.status import Status


def observe(paths: LabPaths) -> Status:
    """Look at a lab; nothing is changed."""
    engine = _engine()
    nodes = _containers(engine, paths)
    git = processes.running(paths, "git-server")
    is_up = (
        paths.description.exists()
        and bool(nodes)
        and all(each["State"]["Running"] for each in nodes.values())
        and git is not None
    )
    lines = [
        f"lab of {paths.cluster}: {'up' if is_up else 'down'}",
        f"  state      {paths.state}{'' if paths.state.exists() else ' (not there)'}",
        f"  engine     {engine.version if engine else 'none answers'}",
        f"  process    {'git-server':<12} {f'{git.pid} since {git.since}' if git else 'not running'}",
        *(
            f"  node       {name:<40} {each['State']['Status']}"
            for name, each in sorted(nodes.items())
        ),
    ]
    return Status(is_up, tuple(lines))


def tails(paths: LabPaths, name: str, lines: int) -> Iterator[str]:
    """Yield the last lines of the lab's logs, and of its nodes' consoles.

    Raises:
        TargetError: There is no such log.
    """
    engine = _engine()
    nodes = {hostname: str(each["Id"]) for hostname, each in _containers(engine, paths).items()}
    yield from with_consoles(engine, nodes, paths, name, lines)


def _containers(engine: Engine | None, paths: LabPaths) -> dict[str, dict[str, Any]]:
    if engine is None:
        return {}
    found = engine.inspect(
        "container",
        engine.labelled("container", f"{CLUSTER_LABEL}={kind_of(paths, os.environ).name}"),
    )
    return {str(each["Config"]["Hostname"]): each for each in found}


def _engine() -> Engine | None:
    try:
        return find_engine()
    except FirstlightError:
        return None
