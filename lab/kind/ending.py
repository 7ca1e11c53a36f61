"""Ending a kind lab: the cluster first, then the network, then every process and file."""

from __future__ import annotations

import os
from collections.abc import Callable

from firstlight.clock import Clock
from firstlight.errors import TargetError, ToolMissing
from lab.docker.ending import remove_objects
from lab.docker.engine import Engine, find_engine
from lab.kind.nodes import CLUSTER_LABEL
from lab.kind.settings import kind_of
from lab.simulated import ending
from lab.simulated.paths import LabPaths

Say = Callable[[str], None]


def down(paths: LabPaths, say: Say, *, clock: Clock | None = None) -> bool:
    """End the lab and remove everything of it; report whether there was anything.

    Raises:
        FirstlightError: Something of it cannot be removed.
    """
    return ending.down(paths, say, clock=clock, end=lambda: end_lab(paths, say))


def end_lab(paths: LabPaths, say: Say) -> bool:
    """Remove all of a lab; the caller holds the lock.

    Raises:
        FirstlightError: Something of it cannot be removed.
    """
    engine = _engine()
    removed = engine is not None and _remove(engine, paths, say)
    return ending.end_lab(paths, say) or removed


def _remove(engine: Engine, paths: LabPaths, say: Say) -> bool:
    kind = kind_of(paths, os.environ)
    there = engine.labelled("container", f"{CLUSTER_LABEL}={kind.name}")
    if there:
        if not kind.program.exists():
            raise ToolMissing(
                "kind", seen=f"not in {paths.tools}, and its cluster {kind.name} is to be removed", next_step="./task tools:bring TOOLS=kind"
            )
        kind.delete()
        say(f"removed the kind cluster {kind.name}, {len(there)} containers")
    return remove_objects(engine, str(paths.state), say) or bool(there)


def _engine() -> Engine | None:
    try:
        return find_engine()
    except (ToolMissing, TargetError):
        # Without an engine that can be used, there never was a container.
        return None
