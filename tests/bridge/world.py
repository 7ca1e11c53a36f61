"""A world of files in place of machines: actions that make one, conditions that look for one; used by tiny checklists in processes of their own."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

from firstlight.actions import Action
from firstlight.conditions import Condition, Observation, holds, never, not_yet
from firstlight.errors import ActionFailed, FirstlightError
from firstlight.tools.classification import classify
from firstlight.tools.op import RULES as OP_RULES
from firstlight.tools.process import CommandResult, ToolFailed
from firstlight.tools.runner import Runner

WORLD = Path(os.environ.get("FIRSTLIGHT_TEST_WORLD", "/nonexistent"))
MEETING = threading.Barrier(2)
SECRET = "hunter2-hunter2-hunter2"


class Busy(FirstlightError):
    """A failure that may pass."""

    retryable = True


def make(name: str, *, failing: FirstlightError | None = None, times: int = 1000) -> Action:
    """Make a file; fail the first so many times, when there is a failure."""

    def need() -> str | None:
        return None if (WORLD / name).exists() else f"{name} is missing"

    def act() -> None:
        tries = WORLD / f"{name}.tries"
        tried = len(tries.read_text()) + 1 if tries.exists() else 1
        tries.write_text("x" * tried)
        if failing is not None and tried <= times:
            raise failing
        (WORLD / name).write_text("made")

    return Action(title=f"make {name}", need=need, act=act, commands=lambda: (f"touch {name}",))


def broken(name: str) -> Action:
    """Fail for good."""
    return make(
        name,
        failing=ActionFailed(f"cannot make {name}: it fell apart", next_step="pick up the pieces"),
    )


def busy(name: str, times: int = 1000) -> Action:
    """Fail for a reason that passes."""
    return make(name, failing=Busy(f"cannot make {name}: busy"), times=times)


def hidden(name: str, looks: int) -> Action:
    """Cannot be looked at, the first so many times."""
    made, tries = make(name), WORLD / f"{name}.looks"

    def need() -> str | None:
        looked = len(tries.read_text()) + 1 if tries.exists() else 1
        tries.write_text("x" * looked)
        if looked <= looks:
            raise Busy(f"cannot look at {name}: it is dark")
        return made.need()

    return replace(made, need=need)


def rationed(name: str) -> Action:
    """Fail because 1Password's quota is used up."""
    said = "[ERROR] 2026/11/23 07:30:00 Too many requests. Your client has been rate-limited."
    result = CommandResult(
        "op document create", 1, "", said, 0.1, timed_out=False, output_tail=(said,)
    )
    return make(name, failing=ToolFailed(result, f"make {name}", rule=classify(OP_RULES, said)))


def endless(name: str, runner: Runner) -> Action:
    """Run a command that never ends, with a child of its own; both write down who they are."""
    code = f"import os,subprocess,time;p=subprocess.Popen(['sleep','600']);open({str(WORLD / 'pids')!r},'w').write(f'{{os.getpid()}} {{p.pid}} ');time.sleep(600)"

    def act() -> None:
        runner.run([sys.executable, "-c", code], timeout_s=600, changes=True)

    return Action(title=f"make {name}", need=lambda: f"{name} is missing", act=act)


def there(name: str) -> Condition[str]:
    """Say when a file is there."""

    def probe() -> Observation[str]:
        return (
            holds(f"{name} is there", name)
            if (WORLD / name).exists()
            else not_yet(f"{name} is not there")
        )

    return Condition(f"{name} to be there", probe)


def counted(number: int) -> Condition[int]:
    """Say that a number is there, unless it is said to be gone, for ever or for so many looks; each look is counted."""

    def probe() -> Observation[int]:
        looks, gone = WORLD / f"looks-{number:03}", WORLD / f"gone-{number}"
        with looks.open("a") as stream:
            stream.write("x")
        is_gone = gone.exists() and len(looks.read_text()) <= float(gone.read_text() or "inf")
        return not_yet(f"{number} is gone") if is_gone else holds(f"{number} is there", number)

    return Condition(f"{number} to be there", probe)


def met(name: str) -> Condition[str]:
    """Say whether somebody else was looked for at the same time."""

    def probe() -> Observation[str]:
        try:
            MEETING.wait(timeout=2)
        except threading.BrokenBarrierError:
            MEETING.reset()
            return not_yet(f"{name} is alone")
        return holds(f"{name} met somebody", name)

    return Condition(f"{name} to meet somebody", probe)


def hopeless(name: str) -> Condition[str]:
    """Say that something can never be."""
    return Condition(f"{name} to be there", lambda: never(f"{name} is gone for good"))


def leaking() -> Condition[str]:
    """Show a secret in an observation."""
    return Condition("the light to come on", lambda: not_yet(f"the password is {SECRET}"))
