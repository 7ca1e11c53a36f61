"""End a docker lab: first containers, volumes and network, then the lab's engine, then the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from firstlight.clock import Clock, SystemClock
from firstlight.errors import TargetError, ToolMissing
from firstlight.process import run
from lab.docker import private_engine
from lab.docker.engine import Engine, find_engine
from lab.docker.host import read_host
from lab.docker.network import LABEL
from lab.simulated import ending, processes
from lab.simulated.paths import LabPaths

Say = Callable[[str], None]

_REMOVE_S = 180.0
_STOP_S = 30.0
_KILL_S = 5.0
_UMOUNT_S = 30.0


def down(paths: LabPaths, say: Say, *, clock: Clock | None = None) -> bool:
    """End the lab and remove all of it; report whether anything existed.

    Raises:
        FirstlightError: Something cannot be removed.
    """
    clock = clock or SystemClock()
    return ending.down(paths, say, clock=clock, end=lambda: end_lab(paths, say, clock))


def end_lab(paths: LabPaths, say: Say, clock: Clock) -> bool:
    """Remove all of a lab; the caller holds the lock.

    Raises:
        FirstlightError: Something cannot be removed.
    """
    engine = _engine(paths, say, clock)
    removed = remove_objects(engine, str(paths.state), say) if engine is not None else False
    if engine is not None and engine.is_ours:
        _stop(paths)
    _unmount_below(paths.state)
    found = ending.end_lab(paths, say)
    private_engine.remove_cgroups(paths)
    return found or removed


def remove_objects(engine: Engine, label: str, say: Say) -> bool:
    """Remove the containers, volumes and networks of a lab; report whether any existed."""
    wanted = f"{LABEL}={label}"
    removed = False
    for kind, words in (
        ("container", ["rm", "--force", "--volumes"]),
        ("volume", ["rm", "--force"]),
        ("network", ["rm"]),
    ):
        if ids := engine.labelled(kind, wanted):
            engine.call(kind, *words, *ids, timeout_s=_REMOVE_S).raise_on_failure(
                f"remove the lab's {kind}s"
            )
            say(f"removed {len(ids)} {kind}{'' if len(ids) == 1 else 's'}")
            removed = True
    return removed


def network_name(paths: LabPaths) -> str:
    """Return the name of a lab's network."""
    return f"firstlight-{paths.cluster}"


def _engine(paths: LabPaths, say: Say, clock: Clock) -> Engine | None:
    """Return the engine that holds the lab's containers; restart the lab's own if it was killed."""
    if private_engine.folder(paths).exists():
        return private_engine.start(paths, read_host(), say, clock)
    return engine_of(paths, was_used=paths.home.exists())


def engine_of(paths: LabPaths, *, was_used: bool) -> Engine | None:
    """Return this host's engine, or None if the lab never used it.

    Args:
        paths: The lab.
        was_used: Whether the lab used the engine. Its containers would come back with an engine
            that is only stopped now.

    Raises:
        TargetError: The engine that holds the lab's containers does not answer.
    """
    try:
        found = find_engine()
    except (ToolMissing, TargetError) as error:
        found, seen = None, error.summary
    else:
        seen = "no container engine answers"
    if found is None and was_used:
        raise TargetError(
            f"cannot end the lab of {paths.cluster}: its containers run in an engine, but {seen}",
            next_step=f"start Docker, then ./task {paths.target}:down CLUSTER={paths.cluster}",
        )
    return found


def _stop(paths: LabPaths) -> None:
    """End the lab's engine and wait, so that its containerd and its mounts end with it."""
    if (found := processes.running(paths, private_engine.NAME)) is not None:
        processes.end((found.pid,), paths.state, terminate_s=_STOP_S, kill_s=_KILL_S)


def _unmount_below(state: Path, mounts: Path = Path("/proc/mounts")) -> None:
    inside = [
        line.split()[1]
        for line in mounts.read_text(encoding="utf-8").splitlines()
        if line.split()[1].startswith(f"{state}/")
    ]
    for path in reversed(inside):
        run(["umount", "--lazy", path], timeout_s=_UMOUNT_S).raise_on_failure(f"unmount {path}")
