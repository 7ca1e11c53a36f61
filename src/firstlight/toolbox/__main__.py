"""The toolbox on the command line: `python -m firstlight.toolbox COMMAND`."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError
from firstlight.toolbox.fingerprint import is_fresh
from firstlight.toolbox.paths import ToolboxPaths
from firstlight.toolbox.pins import load_pins
from firstlight.toolbox.progress import display_for
from firstlight.toolbox.relock import lock_graphs
from firstlight.toolbox.resolve import resolve, table
from firstlight.toolbox.setup import bring, make_wheel, set_up
from firstlight.toolbox.toolchain import bring_go, go_environment, remove_caches

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

_INTERRUPTED = 130
"""The exit code that a shell reports after Ctrl+C."""

_TERMINATED = 143
"""The exit code that a shell reports after SIGTERM."""


def main(arguments: Sequence[str] | None = None, paths: ToolboxPaths | None = None) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="firstlight.toolbox", description="Bring the pinned command-line tools."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="put all tools and charts under .tools, building if needed")
    commands.add_parser(
        "bring", help="put single tools under .tools, including those that setup does not build"
    ).add_argument("names", nargs="+")
    commands.add_parser("list", help="show each tool, its version and where it comes from")
    commands.add_parser("env", help="print the line that puts the tools on this shell's PATH")
    commands.add_parser("lock", help="regenerate go.mod and go.sum from versions.toml")
    commands.add_parser("clean", help="remove the caches of Go that builds have left")
    commands.add_parser("go", help="run the pinned Go").add_argument(
        "names", nargs=argparse.REMAINDER
    )
    commands.add_parser("wheel", help="build all tools and charts into a wheel").add_argument(
        "names", nargs=1, metavar="folder"
    )
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminate)
    paths = paths or ToolboxPaths.of_this_checkout()
    try:
        return _run(options.command, getattr(options, "names", ()), paths)
    except FirstlightError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(
            "\ninterrupted; finished work is kept, run the same command again to continue\n"
        )
        return _INTERRUPTED


def _run(command: str, names: Sequence[str], paths: ToolboxPaths) -> int:
    if command == "env":
        folders = ":".join(shlex.quote(str(folder)) for folder in (paths.venv_bin, paths.bin))
        sys.stdout.write(f'export PATH={folders}:"$PATH"\n')
        return 0
    if command == "clean":
        size = remove_caches(os.environ, paths)
        sys.stdout.write(f"removed {size / 1e9:.1f} GB of {paths.cache}\n")
        return 0
    # Usually nothing has changed, and then only the stamp is read.
    if command == "setup" and is_fresh(paths):
        return 0
    pins = load_pins(paths.versions)
    if command == "list":
        sys.stdout.write(f"{table(resolve(pins.usual(), paths, os.environ).values())}\n")
    elif command == "bring":
        bring(names, pins, paths, os.environ, display_for(sys.stderr))
    elif command == "go":
        go = bring_go(pins.go, paths, os.environ, display_for(sys.stderr))
        os.execve(go, [str(go), *names], go_environment(os.environ, paths))  # noqa: S606 - no shell
    elif command == "wheel":
        make_wheel(pins, Path(names[0]), paths, os.environ, display_for(sys.stderr))
    elif command == "lock":
        lock_graphs(pins, paths, os.environ, display_for(sys.stderr))
    else:
        set_up(pins, paths, os.environ, display_for(sys.stderr))
    return 0


def _terminate(_number: int, _frame: FrameType | None) -> None:
    """Exit as after Ctrl+C, so that running commands are terminated too."""
    raise SystemExit(_TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
