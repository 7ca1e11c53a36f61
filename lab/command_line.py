"""The command line that every lab has: `python -m lab.<target> up|down|status|env|logs --cluster infra`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from firstlight.clock import SystemClock
from firstlight.errors import FirstlightError
from lab.simulated.paths import LabPaths, lab_paths

EXIT_DOWN = 3
"""`status` of a lab that is not up: not an error, and not a success."""


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab and what its commands do, for people; how is in the target's modules `lifecycle`, `ending` and `status`.

    Attributes:
        target: Its name, and that of its package below `lab`.
        down: What `down` ends and removes.
        status: What `status` shows.
        logs: What `logs` shows.
    """

    target: str
    down: str
    status: str
    logs: str


def main(lab: Lab, argv: Sequence[str]) -> int:
    """Run one command; errors are said on standard error, with what to do next."""
    options = _parser(lab).parse_args(argv)
    try:
        return _run(lab, options, lab_paths(options.cluster, target=lab.target))
    except FirstlightError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run(lab: Lab, options: argparse.Namespace, paths: LabPaths) -> int:
    # Each command imports what it needs: `up` on a running lab must be back at once.
    clock = SystemClock()
    started = clock.monotonic()
    if options.command == "up":
        acted = import_module(f"lab.{lab.target}.lifecycle").up(paths, _say, fresh=options.fresh)
        _say(
            f"lab of {paths.cluster}: up{'' if acted else ', nothing to do'} ({clock.monotonic() - started:.1f} s)"
        )
        return 0
    if options.command == "down":
        found = import_module(f"lab.{lab.target}.ending").down(paths, _say)
        _say(
            f"lab of {paths.cluster}: {'gone' if found else 'there was none'} ({clock.monotonic() - started:.1f} s)"
        )
        return 0
    if options.command == "env":
        from lab.simulated.description import exports

        _say("\n".join(exports(paths)))
        return 0
    status = import_module(f"lab.{lab.target}.status")
    if options.command == "status":
        seen = status.observe(paths)
        _say("\n".join(seen.lines))
        return 0 if seen.is_up else EXIT_DOWN
    for line in status.tails(paths, options.name, options.lines):
        _say(line)
    return 0


def _parser(lab: Lab) -> argparse.ArgumentParser:
    program = f"python -m lab.{lab.target}"
    parser = argparse.ArgumentParser(
        prog=program, description=f"The {lab.target} target's own command line."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("up", "bring the lab up, or find it up"),
        ("down", lab.down),
        ("status", f"{lab.status}; exit code {EXIT_DOWN} when it is not up"),
        ("env", f'print what a shell needs to work on the lab by hand: eval "$({program} env)"'),
        ("logs", lab.logs),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--cluster", default="infra", help="the cluster that the lab plays (default: infra)"
        )
        if name == "up":
            command.add_argument(
                "--fresh", action="store_true", help="end and remove what is there first"
            )
        if name == "logs":
            command.add_argument("name", nargs="?", default="", help="one log or machine alone")
            command.add_argument(
                "--lines", type=int, default=20, help="how many lines of each (default: 20)"
            )
    return parser


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
