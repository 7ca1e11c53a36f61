"""End a lab: first every process that carries its mark, then every file, and nothing else."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from contextlib import suppress

from firstlight.clock import Clock, SystemClock
from firstlight.errors import TargetError
from firstlight.target import run_lock
from firstlight.tools.orphans import end_orphans
from lab.simulated import description, processes
from lab.simulated.paths import LabPaths, lab_lock

TERMINATE_S = 2.0
"""All state is thrown away, so a graceful exit needs little time."""
KILL_S = 5.0
_ROUNDS_MAX = 5
"""A process may have started another one just before it ended."""


def down(
    paths: LabPaths,
    say: Callable[[str], None],
    *,
    clock: Clock | None = None,
    end: Callable[[], bool] | None = None,
) -> bool:
    """End the lab and remove all of it; report whether anything existed.

    Args:
        paths: The lab.
        say: Receives a line for each thing that was ended or removed.
        clock: The clock.
        end: Ends and removes what another kind of lab has, and reports whether anything existed.

    Raises:
        FirstlightError: Something cannot be ended or removed.
    """
    if not paths.lock.parent.exists() and not any(True for _ in processes.marked(paths.state)):
        return False
    with lab_lock(paths, "end", clock or SystemClock(), without_runs=True):
        found = end() if end else end_lab(paths, say)
        # Both are held until the block ends; a process that waits for one notices that it is gone.
        for lock in (paths.lock, run_lock(paths.state)):
            lock.unlink(missing_ok=True)
    for folder in (paths.lock.parent, paths.lock.parent.parent):
        # The folder stays if it holds another cluster's lab or a journal.
        with suppress(OSError):
            folder.rmdir()
    return found


def end_lab(paths: LabPaths, say: Callable[[str], None]) -> bool:
    """End every process of the lab, then remove its state. The caller holds both locks.

    Raises:
        TargetError: A process does not end, or a file cannot be removed.
    """
    owner = description.owner(paths)
    if owner not in (None, paths.checkout):
        say(f"the lab of {paths.cluster} belonged to the checkout {owner}")
    for command in end_orphans(str(paths.state), SystemClock()):
        say(f"ended {command}, which an earlier run left running")
    ended = _end_processes(paths)
    if ended:
        say(f"ended {ended} {'process' if ended == 1 else 'processes'}")
    existed = paths.state.exists()
    if existed:
        try:
            shutil.rmtree(paths.state)
        except OSError as error:
            raise TargetError(
                f"cannot remove the lab's folder {paths.state}: "
                f"{error.strerror} ({error.filename})",
                next_step=f"rm -r {shlex.quote(str(paths.state))}",
            ) from error
        say(f"removed {paths.state}")
    return existed or ended > 0


def _end_processes(paths: LabPaths) -> int:
    ended = 0
    left: tuple[int, ...] = ()
    for _ in range(_ROUNDS_MAX):
        pids = tuple(processes.marked(paths.state))
        if not pids:
            return ended
        left = processes.end(pids, paths.state, terminate_s=TERMINATE_S, kill_s=KILL_S)
        ended += len(pids) - len(left)
    raise TargetError(
        f"cannot end the lab of {paths.cluster}: processes {', '.join(map(str, left or pids))} "
        f"are still running after {_ROUNDS_MAX} attempts",
        next_step="check them with `ps`; a process in state D waits for the kernel, then ends",
    )
