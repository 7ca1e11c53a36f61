"""The toolbox's command line: `python -m firstlight.toolbox setup|bring|list|env|lock`."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError
from firstlight.toolbox.bring import bring
from firstlight.toolbox.listing import table
from firstlight.toolbox.paths import Places
from firstlight.toolbox.pins import load_pins
from firstlight.toolbox.progress import display_for
from firstlight.toolbox.relock import lock_graphs
from firstlight.toolbox.resolve import resolve
from firstlight.toolbox.setup import set_up
from firstlight.toolbox.stamp import is_fresh

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

# What a shell reports for a program that Ctrl-C or SIGTERM ended.
_INTERRUPTED = 130
_TERMINATED = 143


def main(arguments: Sequence[str] | None = None, places: Places | None = None) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="firstlight.toolbox", description="Bring the pinned command-line tools."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "setup", help="have all tools and charts under .tools, building what is missing"
    )
    commands.add_parser(
        "bring", help="have single tools under .tools, also those that setup leaves alone"
    ).add_argument("names", nargs="+")
    commands.add_parser("list", help="show each tool, its version and where it comes from")
    commands.add_parser("env", help="print the line that puts the tools on this shell's PATH")
    commands.add_parser("lock", help="make go.mod and go.sum of each graph anew from versions.toml")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return _run(
            options.command, getattr(options, "names", ()), places or Places.of_this_checkout()
        )
    except FirstlightError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; what is done is kept, the same command goes on\n")
        return _INTERRUPTED


def _run(command: str, names: Sequence[str], places: Places) -> int:
    if command == "env":
        folders = ":".join(shlex.quote(str(folder)) for folder in (places.venv_bin, places.bin))
        sys.stdout.write(f'export PATH={folders}:"$PATH"\n')
        return 0
    # The usual case is that nothing is to be done, and then nothing is read but the stamp.
    if command == "setup" and is_fresh(places):
        return 0
    pins = load_pins(places.versions)
    if command == "list":
        sys.stdout.write(f"{table(resolve(pins.usual(), places, os.environ).values())}\n")
    elif command == "bring":
        bring(names, pins, places, os.environ, display_for(sys.stderr))
    elif command == "lock":
        lock_graphs(pins, places, os.environ, display_for(sys.stderr))
    else:
        set_up(pins, places, os.environ, display_for(sys.stderr))
    return 0


def _terminate(_number: int, _frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that the commands that we started are ended as well."""
    raise SystemExit(_TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
