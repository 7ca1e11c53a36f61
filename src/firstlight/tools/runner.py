"""Run a target's commands: in its environment, with its secrets masked, reported as events."""

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
"""Shown in a report of a command's output."""


class Runner:
    """Runs commands in one environment, and emits events about them.

    Args:
        environment: The whole environment of every child.
        root: The working directory, which holds `clusters/` and `bootstrap/`.
        bus: Receives the events.
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
        """Replaces every known secret in a text."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of every child."""
        return dict(self._environment)

    def mask_secrets(self, *secrets: str) -> None:
        """Mask these texts from now on, in every form in which a tool may print them."""
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
            timeout_s: Time limit, in seconds.
            input: Text for standard input.
            env: Added to the environment.
            changes: Whether it may change something, which the report shows.
            quiet: Whether its output is secret, or data that nobody reads. Then events do not
                contain it, except for the tail of a failed command.
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
                else lambda line: self._report_line(criterion, line),
            )
        except BaseException as error:
            # Every start has an end, also if the command was interrupted or does not exist.
            why = error.summary if isinstance(error, FirstlightError) else type(error).__name__
            self._report_end(
                criterion,
                masked,
                None,
                time.monotonic() - started,
                (self.mask(why),),
                changes=changes,
            )
            raise
        tail = () if quiet and result.ok else result.output_tail[-TAIL_LINES:]
        self._report_end(
            criterion,
            result.command,
            None if result.timed_out else result.exit_code,
            result.elapsed_s,
            tail,
            changes=changes,
        )
        return result

    def _report_end(
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

    def _report_line(self, criterion: str, line: str) -> None:
        self._bus.emit(CommandOutput(criterion=criterion, line=line))
