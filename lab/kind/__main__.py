"""`python -m lab.kind up|down|status|env|logs --cluster infra`: the kind target's own command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from firstlight.clock import SystemClock
from firstlight.errors import FirstlightError
from lab.simulated.paths import LabPaths, lab_paths

EXIT_DOWN = 3
"""`status` of a lab that is not up: not an error, and not a success."""


def main(argv: Sequence[str]) -> int:
    """Run one command; errors are said on standard error, with what to do next."""
    options = _parser().parse_args(argv)
    try:
        return _run(options, lab_paths(options.cluster, target="kind"))
    except FirstlightError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run(options: argparse.Namespace, paths: LabPaths) -> int:
    # Each command imports what it needs: `up` on a running lab must be back at once.
    clock = SystemClock()
    started = clock.monotonic()
    if options.command == "up":
        from lab.kind.lifecycle import up

        acted = up(paths, _say, fresh=options.fresh)
        _say(f"lab of {paths.cluster}: up{'' if acted else ', nothing to do'} ({clock.monotonic() - started:.1f} s)")
        return 0
    if options.command == "down":
        from lab.kind.ending import down

        found = down(paths, _say)
        _say(f"lab of {paths.cluster}: {'gone' if found else 'there was none'} ({clock.monotonic() - started:.1f} s)")
        return 0
    if options.command == "env":
        from lab.simulated.description import exports

        _say("\n".join(exports(paths)))
        return 0
    from lab.kind import status

    if options.command == "status":
        seen = status.observe(paths)
        _say("\n".join(seen.lines))
        return 0 if seen.is_up else EXIT_DOWN
    for line in status.tails(paths, options.name, options.lines):
        _say(line)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.kind", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("up", "bring the lab up, or find it up"),
        ("down", "remove the kind cluster, its network, the lab's processes and its state"),
        ("status", f"show engine, nodes and Git server; exit code {EXIT_DOWN} when it is not up"),
        ("env", 'print what a shell needs to work on the lab by hand: eval "$(python -m lab.kind env)"'),
        ("logs", "show how the logs and the nodes' consoles end"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--cluster", default="infra", help="the cluster that the lab plays (default: infra)")
        if name == "up":
            command.add_argument("--fresh", action="store_true", help="end and remove what is there first")
        if name == "logs":
            command.add_argument("name", nargs="?", default="", help="one log or node alone")
            command.add_argument("--lines", type=int, default=20, help="how many lines of each (default: 20)")
    return parser


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
