"""Run commands and read files until a common deadline, each within its own time limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from firstlight.clock import Clock
from firstlight.masking import Masker
from firstlight.process import CommandResult, run

COMMAND_S = 10.0
"""Time limit of one command; gRPC gives up on an unreachable machine only after 20 seconds."""

TAIL_BYTES_MAX = 256 * 1024
"""Read from the end of a log file."""


class TimeUp(Exception):
    """The deadline has passed."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """Access to commands and files until a moment in time; what it returns is not masked yet.

    Attributes:
        environment: The whole environment of every command.
        root: Working directory of every command.
        mask: Masks the command lines.
        clock: The source of time.
        ends_at_s: The deadline, on that clock.
    """

    environment: Mapping[str, str]
    root: Path
    mask: Masker
    clock: Clock
    ends_at_s: float

    def run(self, command: tuple[str, ...]) -> CommandResult:
        """Run a command that changes nothing.

        Raises:
            TimeUp: The deadline has passed.
            ToolMissing: The command does not exist.
        """
        left_s = self.ends_at_s - self.clock.monotonic()
        if left_s <= 0:
            raise TimeUp
        return run(
            command,
            timeout_s=min(COMMAND_S, left_s),
            env=self.environment,
            cwd=self.root,
            mask=self.mask,
        )


def tail(path: Path) -> str:
    """Return the end of a file.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL_BYTES_MAX))
        text = file.read(TAIL_BYTES_MAX).decode(errors="replace")
    # The first line may be cut in the middle of a secret, which masking would then miss.
    return text if size <= TAIL_BYTES_MAX else text.partition("\n")[2]
