"""The command line of every lab: `python -m lab.<target> up|down|status|env|logs --cluster infra`.

A target implements the commands in its modules `lifecycle` (up), `ending` (down) and `status`
(status, logs); `env` is the same for all. Modules are imported per command, because `up` must
return at once when the lab is already up.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from firstlight.clock import SystemClock
from firstlight.errors import FirstlightError
from lab.simulated.paths import LabPaths, lab_paths

EXIT_DOWN = 3
"""The exit code of `status` when the lab is down: neither an error nor a success."""

HELP = {
    "simulated": {
        "down": "end every process of the lab and remove its state",
        "status": "show processes and listeners",
        "logs": "show the paths and the last lines of the logs",
    },
    "docker": {
        "down": "remove the lab's containers, volumes, networks, processes and state",
        "status": "show engine, machines and services",
        "logs": "show the last lines of the logs and of the machines' consoles",
    },
    "kind": {
        "down": "remove the kind cluster, its network, the lab's processes and its state",
        "status": "show engine, nodes and Git server",
        "logs": "show the last lines of the logs and of the nodes' consoles",
    },
}
"""What the commands do that differ between targets."""


def main(target: str, argv: Sequence[str] | None = None) -> int:
    """Run one command of a target and return the exit code.

    Errors go to standard error, with the next step.
    """
    options = parser(target).parse_args(argv)
    try:
        return _run(target, options, lab_paths(options.cluster, target=target))
    except FirstlightError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run(target: str, options: argparse.Namespace, paths: LabPaths) -> int:
    clock = SystemClock()
    started = clock.monotonic()

    def summarize(outcome: str) -> None:
        _say(f"lab of {paths.cluster}: {outcome} ({clock.monotonic() - started:.1f} s)")

    match options.command:
        case "up":
            lifecycle = import_module(f"lab.{target}.lifecycle")
            acted = lifecycle.up(paths, _say, fresh=options.fresh, take_over=options.take_over)
            summarize("up" if acted else "up, nothing to do")
        case "down":
            found = import_module(f"lab.{target}.ending").down(paths, _say)
            summarize("removed" if found else "nothing to remove")
        case "status":
            seen = import_module(f"lab.{target}.status").observe(paths)
            _say("\n".join(seen.lines))
            return 0 if seen.is_up else EXIT_DOWN
        case "logs":
            status = import_module(f"lab.{target}.status")
            for line in status.tails(paths, options.name, options.lines):
                _say(line)
        case "env":
            from lab.simulated.description import exports

            _say("\n".join(exports(paths)))
    return 0


def parser(target: str) -> argparse.ArgumentParser:
    """Return the parser of a target's command line."""
    program = f"python -m lab.{target}"
    made = argparse.ArgumentParser(
        prog=program, description=f"Manage the lab of the {target} target."
    )
    commands = made.add_subparsers(dest="command", required=True)
    texts = HELP[target]
    for name, text in (
        ("up", "bring the lab up, or find it up"),
        ("down", texts["down"]),
        ("status", f"{texts['status']}; exit code {EXIT_DOWN} when the lab is down"),
        ("env", f'print the variables to work on the lab by hand: eval "$({program} env)"'),
        ("logs", texts["logs"]),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--cluster", default="infra", help="the cluster that the lab plays (default: infra)"
        )
        if name == "up":
            command.add_argument(
                "--fresh", action="store_true", help="remove an existing lab first"
            )
            command.add_argument(
                "--take-over",
                action="store_true",
                help="continue with a lab that belongs to another checkout",
            )
        if name == "logs":
            command.add_argument("name", nargs="?", default="", help="a single log or machine")
            command.add_argument(
                "--lines", type=int, default=20, help="number of lines of each (default: 20)"
            )
    return made


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
