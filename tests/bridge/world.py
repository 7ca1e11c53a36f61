"""Actions and conditions on files instead of machines, for tiny checklists.

A tiny checklist runs in a process of its own; the environment names the folder of its files.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

from firstlight.actions import Action
from firstlight.conditions import Condition, Observation, holds, never, not_yet
from firstlight.errors import ActionFailed, FirstlightError
from firstlight.failures import FailureClass
from firstlight.process import CommandResult, ToolFailed
from firstlight.tools.runner import Runner

WORLD = Path(os.environ.get("FIRSTLIGHT_TEST_WORLD", "/nonexistent"))
MEETING = threading.Barrier(2)
SECRET = "hunter2-hunter2-hunter2"


class Busy(FirstlightError):
    """A temporary failure."""

    failure_class = FailureClass.RETRY


def make(name: str, *, failing: FirstlightError | None = None, times: int = 1000) -> Action:
    """Return an action that creates a file, and first fails this often if an error is given."""

    def need() -> str | None:
        return None if (WORLD / name).exists() else f"{name} is missing"

    def act() -> None:
        attempt = counted(f"{name}.tries")
        if failing is not None and attempt <= times:
            raise failing
        (WORLD / name).write_text("made")

    return Action(title=f"make {name}", need=need, act=act, commands=lambda: (f"touch {name}",))


def counted(name: str) -> int:
    """Count one more attempt, and return how many there were so far."""
    with (WORLD / name).open("a") as stream:
        stream.write("x")
    return len((WORLD / name).read_text())


def broken(name: str) -> Action:
    """Return an action that fails permanently."""
    return make(
        name,
        failing=ActionFailed(f"cannot make {name}: it fell apart", next_step="pick up the pieces"),
    )


def busy(name: str, times: int = 1000) -> Action:
    """Return an action that first fails this often, for a reason that passes."""
    return make(name, failing=Busy(f"cannot make {name}: busy"), times=times)


def unreachable(name: str, times: int) -> Action:
    """Return an action for which the check whether it is needed first fails this often."""
    made = make(name)

    def need() -> str | None:
        if counted(f"{name}.checks") <= times:
            raise Busy(f"cannot check {name}: it is dark")
        return made.need()

    return replace(made, need=need)


def rate_limited(name: str) -> Action:
    """Return an action that fails because 1Password's quota is exhausted."""
    line = "[ERROR] 2026/11/23 07:30:00 Too many requests. Your client has been rate-limited."
    result = CommandResult(
        "op document create", 1, "", line, 0.1, timed_out=False, output_tail=(line,)
    )
    return make(name, failing=ToolFailed(result, f"make {name}"))


def endless(name: str, runner: Runner) -> Action:
    """Return an action whose command never ends and has a child; both report their process IDs."""
    code = (
        "import os,subprocess,time;"
        "p=subprocess.Popen(['sleep','600']);"
        f"open({str(WORLD / 'pids')!r},'w').write(f'{{os.getpid()}} {{p.pid}} ');"
        "time.sleep(600)"
    )

    def act() -> None:
        runner.run([sys.executable, "-c", code], timeout_s=600, changes=True)

    return Action(title=f"make {name}", need=lambda: f"{name} is missing", act=act)


def exists(name: str) -> Condition[str]:
    """Return the condition that a file exists."""

    def probe() -> Observation[str]:
        if (WORLD / name).exists():
            return holds(f"{name} exists", name)
        return not_yet(f"{name} does not exist")

    return Condition(f"{name} to exist", probe)


def present(number: int) -> Condition[int]:
    """Return the condition that a number is present, and count its checks.

    A file `gone-<number>` makes it absent: for as many checks as the file says, or permanently.
    """

    def probe() -> Observation[int]:
        gone = WORLD / f"gone-{number}"
        checks = counted(f"checks-{number:03}")
        if gone.exists() and checks <= float(gone.read_text() or "inf"):
            return not_yet(f"{number} is gone")
        return holds(f"{number} is present", number)

    return Condition(f"{number} to be present", probe)


def meets(name: str) -> Condition[str]:
    """Return a condition that holds only if another one like it is checked at the same time."""

    def probe() -> Observation[str]:
        try:
            MEETING.wait(timeout=2)
        except threading.BrokenBarrierError:
            MEETING.reset()
            return not_yet(f"{name} is alone")
        return holds(f"{name} met somebody", name)

    return Condition(f"{name} to meet somebody", probe)


def unsatisfiable(name: str) -> Condition[str]:
    """Return a condition that can never become true."""
    return Condition(f"{name} to exist", lambda: never(f"{name} is gone for good"))


def leaking() -> Condition[str]:
    """Return a condition whose observation contains a secret."""
    return Condition("the light to come on", lambda: not_yet(f"the password is {SECRET}"))
