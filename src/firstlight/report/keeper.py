"""Keep the report's files on disk in step with the run, so that a killed run leaves the report of what it did.

The page itself is pytest-html's to write, see `fixtures/report.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from firstlight.events import CriterionEnded, CriterionStarted, RunEnded, RunStarted, Stamped
from firstlight.report.comparison import compare
from firstlight.report.document import json_text
from firstlight.report.files import replace_text
from firstlight.report.fold import Fold
from firstlight.report.history import remember
from firstlight.report.junit import junit_text
from firstlight.report.markdown import markdown_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from firstlight.report.history import PastRun
    from firstlight.report.model import Report

WRITTEN: Final[dict[str, Callable[[Report], str]]] = {
    "report.json": json_text,
    "junit.xml": junit_text,
    "summary.md": markdown_text,
}
"""Each file of the folder and what makes its text."""


class Keeper:
    """Listens to a bus: folds every event, and rewrites the files whenever a criterion begins or ends.

    A report that cannot be written must not stop a bootstrap: the reason is kept in `trouble` and told at the end.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fold = Fold()
        self._history: tuple[PastRun, ...] = ()
        self._troubles: dict[Path, str] = {}
        self.begun = False
        """Whether there is anything to report."""

    def hear(self, stamped: Stamped) -> None:
        """Take in one event, and write the files if it is one that people look for."""
        self._fold.hear(stamped)
        if isinstance(stamped.event, RunStarted):
            self.begun = True
            self._remember()
        if isinstance(stamped.event, RunStarted | CriterionStarted | CriterionEnded | RunEnded):
            self.save()

    def report(self) -> Report:
        """Return the report as it stands."""
        report = self._fold.report()
        return replace(
            report, comparison=compare(report.head, report.timing, report.criteria, self._history)
        )

    def save(self) -> None:
        """Write the files as things stand; one that cannot be written keeps no other from it."""
        report = self.report()
        for name, text in WRITTEN.items():
            self.write(self._folder / name, text(report))

    def write(self, path: Path, text: str) -> None:
        """Write one file of the report, whole or not at all."""
        try:
            replace_text(path, text)
        except OSError as error:
            self._troubles[path] = f"cannot write {path}: {error.strerror or error}"
        else:
            self._troubles.pop(path, None)

    @property
    def trouble(self) -> str:
        """Why a file is not as it should be, empty when all are."""
        return next(iter(self._troubles.values()), "")

    def _remember(self) -> None:
        try:
            self._history = remember(self._folder)
        except OSError:
            # The files of this run are about to fail in the same way, which is told.
            self._history = ()
