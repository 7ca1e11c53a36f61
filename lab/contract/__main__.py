"""Capture the answers of real machines, or list known differences: `python -m lab.contract`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from firstlight.clock import SystemClock
from firstlight.errors import FirstlightError
from lab.contract import answers
from lab.contract.compare import differences, not_captured
from lab.contract.containers import ContainerMachines
from lab.contract.material import CLUSTER
from lab.contract.walk import walk
from lab.docker.settings import IMAGES_VARIABLE, SUBNET_VARIABLE, Settings, check
from lab.simulated.paths import lab_lock, lab_paths

SUBNET = "10.7.0.0/24"
"""Different from the default subnets of the docker and kind targets, so all can be up at once."""


def main(argv: Sequence[str]) -> int:
    """Run one command. Errors go to standard error, with the next step."""
    parser = argparse.ArgumentParser(prog="python -m lab.contract", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    capture = commands.add_parser(
        "capture", help="ask real Talos in containers, and save the answers to tests/contract/real"
    )
    capture.add_argument(
        "--keep",
        action="store_true",
        help="keep the machines afterwards (end them with ./task docker:down CLUSTER=contract)",
    )
    commands.add_parser(
        "differences",
        help="list the known differences between simulated and real machines, with reasons",
    )
    options = parser.parse_args(argv)
    try:
        return _capture(keep=options.keep) if options.command == "capture" else _differences()
    except FirstlightError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _capture(*, keep: bool) -> int:
    paths = lab_paths(CLUSTER, target="docker")
    chosen = Settings(
        "3+1", os.environ.get(SUBNET_VARIABLE) or SUBNET, os.environ.get(IMAGES_VARIABLE) or "auto"
    )
    check(chosen)
    clock = SystemClock()
    started = clock.monotonic()
    machines = ContainerMachines(paths, chosen, _say, raw=paths.checkout / "reports" / "contract")
    with lab_lock(paths, "capture", clock):
        if paths.state.exists():
            # A lab that was kept, or left by a killed run. Its machines are not in the initial
            # state.
            machines.stop()
        try:
            machines.start()
            for state, found in walk(machines):
                file = answers.write(answers.REAL, state, found, machines.origin)
                _say(
                    f"{state.name}: {len(found)} answers in {file.relative_to(paths.checkout)} "
                    f"({clock.monotonic() - started:.0f} s)"
                )
        finally:
            if not keep:
                machines.stop()
                paths.lock.unlink(missing_ok=True)
    return _differences()


def _differences() -> int:
    for difference in differences():
        _say(
            f"{difference.name}\n  in        {', '.join(difference.calls)}\n"
            f"  because   {difference.reason}"
        )
    for name, reason in not_captured().items():
        _say(f"not captured: {name}\n  because   {reason}")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
