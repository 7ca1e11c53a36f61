"""Take one look after another within one bound of time, each command within its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from firstlight.clock import Clock
from firstlight.masking import Masker
from firstlight.process import CommandResult, run

COMMAND_S = 10.0
"""One command; gRPC gives up a machine that is off after twenty seconds, which is too much of a minute for what is known by then."""

TAIL_BYTES_MAX = 256 * 1024
"""What is read of the end of a log file."""


class TimeUp(Exception):
    """There is no time left for another look."""


@dataclass(frozen=True, slots=True)
class Looking:
    """The way to commands and files; what it returns is as they said it, and masked only by who keeps it.

    Attributes:
        environment: The whole environment of every command.
        root: Where commands run.
        mask: Masks what the process runner itself tells.
        clock: Where time comes from.
        ends_at_s: When all looking ends, on that clock.
    """

    environment: Mapping[str, str]
    root: Path
    mask: Masker
    clock: Clock
    ends_at_s: float

    def ask(self, command: tuple[str, ...]) -> CommandResult:
        """Run a command that looks.

        Raises:
            TimeUp: All time is used up.
            ToolMissing: There is no such command.
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

    def end_of(self, path: Path) -> str:
        """Return the end of a file.

        Raises:
            OSError: It cannot be read.
        """
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES_MAX))
            text = file.read(TAIL_BYTES_MAX).decode(errors="replace")
        # A first line that was cut might hold half a secret.
        return text if size <= TAIL_BYTES_MAX else text.partition("\n")[2]
