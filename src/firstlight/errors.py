"""The errors that firstlight raises on purpose.

FirstlightError
|- DefinitionError       one or more things are wrong in clusters/ or bootstrap/
|- ToolMissing           a pinned command-line tool is missing
|- ToolFailed            a command exited with a non-zero code (firstlight.process)
|  `- ToolTimedOut       a command was terminated because its time was up
|- ActionFailed          an action could not be performed
|- NotReady              a condition did not hold within its budget
|  `- Unsatisfiable      a condition can no longer become true, so waiting was stopped
|- Blocked               something else has to be done first
|- TargetError           the target cannot be brought up, reached or described
|- JournalUnwritable     the journal cannot be used, so no action begins
|- ClusterLocked         another run holds this cluster, or the lock cannot be taken
`- LockHeld              another process holds a lock (firstlight.lock)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from firstlight.failures import BY_ID, FailureClass, Row, rows_for_rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


SET_UP = "./task tools:setup"
"""The command that installs every pinned tool."""


class FirstlightError(Exception):
    """The root of the tree: `message` says what could not be done, `next_step` what to do next.

    Attributes:
        failure_class: What a run does about it: the class of its row if it has one, otherwise that
            of its type; fatal by default.
        rows: The rows of the failure catalogue that explain it.
    """

    failure_class: FailureClass = FailureClass.FATAL
    rows: tuple[Row, ...] = ()

    def __init__(
        self,
        message: str,
        *,
        next_step: str = "",
        row: Row | str | None = None,
        rows: Iterable[Row | str] = (),
    ) -> None:
        """Create an error.

        Args:
            message: What could not be done, and what was seen.
            next_step: What the operator does next.
            row: The row that it is known by, which determines its class.
            rows: Rows that explain it to people, but do not determine its class.
        """
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        known = _row(row) if row else None
        if known is not None:
            self.failure_class = known.failure_class
        self.rows = tuple(filter(None, (known, *map(_row, rows))))

    @property
    def row(self) -> Row | None:
        """The row of the failure catalogue that it is known by, None if it is unknown."""
        return self.rows[0] if self.rows else None

    @property
    def summary(self) -> str:
        """The message's first line."""
        return self.message.splitlines()[0] if self.message else type(self).__name__

    def __str__(self) -> str:
        if not self.next_step:
            return self.message
        return f"{self.message}\n  next      {self.next_step}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a definition.

    Attributes:
        path: The file, relative to the root of the definition.
        field: The place in the file, in dotted form (`nodes[2].ipAddress`); empty for the whole
            file.
        value: The value found there, empty if there is none.
        rule: The short, stable name of the rule that it breaks (`duplicate-address`).
        message: What is wrong, lower case, without a full stop.
        fix: What to write instead.
    """

    path: Path
    field: str
    value: str
    rule: str
    message: str
    fix: str

    def __str__(self) -> str:
        where = f"{self.path}: {self.field}" if self.field else f"{self.path}"
        seen = f" (seen: {self.value})" if self.value else ""
        return f"{where}: {self.message}{seen}; {self.fix} [{self.rule}]"


class DefinitionError(FirstlightError):
    """The definition is wrong; `problems` holds all problems that were found."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        listing = "\n".join(f"  {problem}" for problem in self.problems)
        plural = "problem" if len(self.problems) == 1 else "problems"
        super().__init__(
            f"cannot load the definition of {name}: {len(self.problems)} {plural}\n{listing}",
            rows=[
                row
                for problem in self.problems
                for row in rows_for_rule(problem.rule, problem.field)
            ],
        )


class ToolMissing(FirstlightError):
    """A pinned tool is missing; the next step says how to install it."""

    def __init__(self, tool: str, *, seen: str = "not found", next_step: str = SET_UP) -> None:
        super().__init__(
            f"cannot find {tool}: {seen}",
            next_step=next_step,
            row="FL-219" if next_step == SET_UP else None,
        )
        self.tool = tool


class ActionFailed(FirstlightError):
    """An action could not be performed; the message and the cause hold the evidence."""


class Blocked(FirstlightError):
    """An earlier stage has not been completed, and this run does not include it."""


class TargetError(FirstlightError):
    """The target cannot be brought up, reached or described."""


class JournalUnwritable(FirstlightError):
    """The journal cannot be used, so no action can be recorded in it, and none is performed."""


class ClusterLocked(FirstlightError):
    """Another run holds this cluster, or the lock cannot be taken.

    The message says who holds it, where and since when, or why the lock cannot be taken.
    """


class NotReady(FirstlightError):
    """A condition did not hold within its budget; the last observation is in the message.

    It is fatal whatever its rows say, because the budget was for retries.
    """

    def __init__(
        self,
        condition: str,
        *,
        last: str,
        elapsed_s: float,
        budget_s: float,
        attempts: int,
        rows: Iterable[Row | str] = (),
    ) -> None:
        self.condition = condition
        self.last = last
        self.elapsed_s = elapsed_s
        self.budget_s = budget_s
        self.attempts = attempts
        super().__init__(f"cannot confirm {condition}: {self._reason()}", rows=rows)

    def _reason(self) -> str:
        return (
            f"not so within {self.budget_s:.0f} s\n"
            f"  last seen {self.last} (after {self.elapsed_s:.1f} s, {self.attempts} attempts)"
        )


class Unsatisfiable(NotReady):
    """A condition can no longer become true, so waiting on would only hide the reason."""

    def _reason(self) -> str:
        return (
            f"waiting longer will not help\n  last seen {self.last} (after {self.elapsed_s:.1f} s)"
        )


def _row(row: Row | str) -> Row:
    return BY_ID[row] if isinstance(row, str) else row
