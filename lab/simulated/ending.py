"""Ending a lab: every process that carries its mark, then every file, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress

from firstlight.clock import Clock, SystemClock
from firstlight.errors import TargetError
from lab.simulated import processes
from lab.simulated.lock import holding
from lab.simulated.paths import LabPaths

TERMINATE_S = 2.0
"""Everything is thrown away, so nobody needs long to leave in order."""
KILL_S = 5.0
_ROUNDS_MAX = 5
"""A process that is ended may have started another a moment before."""


def down(
    paths: LabPaths,
    say: Callable[[str], None],
    *,
    clock: Clock | None = None,
    end: Callable[[], bool] | None = None,
) -> bool:
    """End the lab and remove everything of it; report whether there was anything.

    Args:
        paths: The lab.
        say: Is told what was ended and removed.
        clock: What time it is.
        end: Ends and removes what another kind of lab has, and says whether there was any.

    Raises:
        FirstlightError: Something of it cannot be ended or removed.
    """
    if not paths.lock.parent.exists() and not any(True for _ in processes.marked(paths.state)):
        return False
    with holding(paths, "end", clock or SystemClock()):
        found = end() if end else end_lab(paths, say)
        paths.lock.unlink(missing_ok=True)
    for folder in (paths.lock.parent, paths.lock.parent.parent):
        # Another cluster's lab, or a journal, keeps the folder.
        with suppress(OSError):
            folder.rmdir()
    return found


def end_lab(paths: LabPaths, say: Callable[[str], None]) -> bool:
    """End every process of the lab, then remove its state; the caller holds the lock.

    Raises:
        TargetError: A process does not end, or a file cannot be removed.
    """
    ended = _end_processes(paths)
    if ended:
        say(f"ended {ended} {'process' if ended == 1 else 'processes'}")
    existed = paths.state.exists()
    if existed:
        try:
            shutil.rmtree(paths.state)
        except OSError as error:
            raise TargetError(
                f"cannot remove the lab's folder {paths.state}: {error.strerror} ({error.filename})",
                next_step=f"rm -r {paths.state}",
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
        f"cannot end the lab of {paths.cluster}: processes {', '.join(map(str, left or pids))} are still there after {_ROUNDS_MAX} rounds",
        next_step="look at them with `ps`; one in state D waits for the kernel and ends by itself",
    )
