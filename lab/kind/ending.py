"""End a kind lab: first the cluster, then the network, then every process and file."""

from __future__ import annotations

from collections.abc import Callable

from firstlight.clock import Clock
from firstlight.errors import ToolMissing
from lab.docker.ending import engine_of, remove_objects
from lab.docker.engine import Engine
from lab.kind.cluster import CLUSTER_LABEL, kind_of
from lab.simulated import ending
from lab.simulated.paths import LabPaths

Say = Callable[[str], None]


def down(paths: LabPaths, say: Say, *, clock: Clock | None = None) -> bool:
    """End the lab and remove all of it; report whether anything existed.

    Raises:
        FirstlightError: Something cannot be removed.
    """
    return ending.down(paths, say, clock=clock, end=lambda: end_lab(paths, say))


def end_lab(paths: LabPaths, say: Say) -> bool:
    """Remove all of a lab; the caller holds the lock.

    Raises:
        FirstlightError: Something cannot be removed.
    """
    # This file is written before kind is called.
    engine = engine_of(paths, was_used=(paths.state / "kind.yaml").exists())
    removed = engine is not None and _remove(engine, paths, say)
    return ending.end_lab(paths, say) or removed


def _remove(engine: Engine, paths: LabPaths, say: Say) -> bool:
    kind = kind_of(paths, engine.environment)
    there = engine.labelled("container", f"{CLUSTER_LABEL}={kind.name}")
    if there:
        if not kind.program.exists():
            raise ToolMissing(
                "kind",
                seen=f"not in {paths.tools}, and its cluster {kind.name} is to be removed",
                next_step="./task tools:bring TOOLS=kind",
            )
        kind.delete()
        say(f"removed the kind cluster {kind.name}, {len(there)} containers")
    return remove_objects(engine, str(paths.state), say) or bool(there)
