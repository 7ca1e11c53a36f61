"""The runner: every tool's way to `process.run`, with the target's environment, its secrets, and word of it to the bus."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from firstlight.errors import FirstlightError
from firstlight.events import Bus, CommandEnded, CommandOutput, CommandStarted
from firstlight.masking import Masker
from firstlight.process import CommandResult, run

TAIL_LINES = 12
"""What a report shows of a command's output."""


class Runner:
    """Run commands in one environment and tell what was run.

    Args:
        environment: The whole environment of every child.
        root: Where commands run: the folder that holds `clusters/` and `bootstrap/`.
        bus: Is told each command.
        criterion: Returns the ID of the running criterion.
        mask: Masks secrets, and learns those that tools reveal.
    """

    def __init__(
        self,
        *,
        environment: Mapping[str, str],
        root: Path,
        bus: Bus,
        criterion: Callable[[], str],
        mask: Masker | None = None,
    ) -> None:
        self._environment = dict(environment)
        self._root = root
        self._bus = bus
        self._criterion = criterion
        self.mask = mask or Masker()
        """Knows every secret that is known by now, and returns a text without them."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What every child is given."""
        return dict(self._environment)

    def keep_secret(self, *secrets: str) -> None:
        """Mask these texts from now on, in every form that a tool may print them in."""
        self.mask.learn(*secrets)

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        timeout_s: float,
        input: str | None = None,  # noqa: A002 - the standard library's own name for it
        env: Mapping[str, str] | None = None,
        changes: bool = False,
        quiet: bool = False,
    ) -> CommandResult:
        """Run a command; see `process.run`.

        Args:
            argv: The command and its arguments.
            timeout_s: How long it may take, in seconds.
            input: What it reads on standard input.
            env: Added to the environment.
            changes: Whether it may change the world, so that readers of the report can tell.
            quiet: Whether its output is a secret, or data that nobody reads: then neither its lines nor its tail are told.
        """
        criterion = self._criterion()
        masked = self.mask(shlex.join(str(word) for word in argv))
        started = time.monotonic()
        self._bus.emit(CommandStarted(criterion=criterion, command=masked, changes=changes))
        try:
            result = run(
                argv,
                timeout_s=timeout_s,
                input=input,
                env={**self._environment, **(env or {})},
                cwd=self._root,
                mask=self.mask,
                on_line=None
                if quiet or not changes
                else lambda line: self._tell_line(criterion, line),
            )
        except BaseException as error:
            # Whoever heard that it started hears that it ended, also when it was interrupted or is not there at all.
            why = error.summary if isinstance(error, FirstlightError) else type(error).__name__
            self._tell_end(
                criterion,
                masked,
                None,
                time.monotonic() - started,
                (self.mask(why),),
                changes=changes,
            )
            raise
        tail = () if quiet and result.ok else result.output_tail[-TAIL_LINES:]
        self._tell_end(
            criterion,
            result.command,
            None if result.timed_out else result.exit_code,
            result.elapsed_s,
            tail,
            changes=changes,
        )
        return result

    def _tell_end(
        self,
        criterion: str,
        command: str,
        exit_code: int | None,
        elapsed_s: float,
        tail: tuple[str, ...],
        *,
        changes: bool,
    ) -> None:
        event = CommandEnded(
            criterion=criterion,
            command=command,
            exit_code=exit_code,
            elapsed_s=elapsed_s,
            output_tail=tail,
            changes=changes,
        )
        self._bus.emit(event)

    def _tell_line(self, criterion: str, line: str) -> None:
        self._bus.emit(CommandOutput(criterion=criterion, line=line))
