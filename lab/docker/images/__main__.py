"""The command line of the offline image set: `python -m lab.docker.images build|list`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError
from firstlight.toolbox import ToolboxPaths, load_pins
from firstlight.toolbox.progress import display_for, seconds

if TYPE_CHECKING:
    from types import FrameType

# A shell's exit codes for a program that Ctrl-C or SIGTERM ended.
_INTERRUPTED = 130
_TERMINATED = 143


def main(argv: list[str]) -> int:
    """Run one command and return the exit code.

    Errors go to standard error, with the next step.
    """
    parser = argparse.ArgumentParser(prog="python -m lab.docker.images", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build the parts of the set that are missing")
    commands.add_parser("list", help="show the images of the set, and what the stand-ins stand for")
    command = parser.parse_args(argv).command
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return _build() if command == "build" else _list()
    except FirstlightError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(
            "\ninterrupted; finished parts are kept, run the same command to continue\n"
        )
        return _INTERRUPTED


def _build() -> int:
    from firstlight.clock import SystemClock
    from lab.docker.images.build import build
    from lab.docker.images.image_set import bring_cli

    clock = SystemClock()
    started = clock.monotonic()
    paths = ToolboxPaths.of_this_checkout()
    pins = load_pins(paths.versions)
    found = build(pins, paths, os.environ, display_for(sys.stderr, label="images"))
    bring_cli(paths)
    sys.stdout.write(
        f"{len(found.images)} images in {found.storage} ({seconds(clock.monotonic() - started)})\n"
    )
    return 0


def _list() -> int:
    from lab.docker.images.image_set import image_set

    for image in image_set().images:
        stands = f"  stands for {image.stands_for}" if image.stands_for else ""
        sys.stdout.write(f"{image.reference}  {image.digest[:19]}{stands}\n")
    return 0


def _terminate(_number: int, _frame: FrameType | None) -> None:
    """Exit as on Ctrl-C, so that the commands that we started end too."""
    raise SystemExit(_TERMINATED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
