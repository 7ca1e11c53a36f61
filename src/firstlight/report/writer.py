"""Keep the report's files up to date, so that a killed run leaves a report of what it did."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from firstlight.events import (
    CriterionEnded,
    CriterionStarted,
    Event,
    RunEnded,
    RunStarted,
    Stamped,
)
from firstlight.files import write_atomically
from firstlight.report.comparison import compare, update_history
from firstlight.report.ctrf import json_text
from firstlight.report.fold import Fold
from firstlight.report.junit import junit_text
from firstlight.report.markdown import markdown_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from firstlight.report.comparison import PastRun
    from firstlight.report.model import Report

FILES: Final[dict[str, Callable[[Report], str]]] = {
    "report.json": json_text,
    "junit.xml": junit_text,
    "summary.md": markdown_text,
}
"""Each file that the writer renders; pytest-html renders the page, see `fixtures/report.py`."""


class ReportWriter:
    """Folds every event, and rewrites the files whenever a criterion begins or fails.

    A report that cannot be written does not stop a run: `trouble` keeps the reason.

    Args:
        folder: The report folder.
        page: The HTML page, by default `report.html` in the folder.
    """

    def __init__(self, folder: Path, page: Path | None = None) -> None:
        self._folder = folder
        self._fold = Fold()
        self._history: tuple[PastRun, ...] = ()
        self._troubles: dict[Path, str] = {}
        self._written: set[Path] = set()
        self.page: Final = page or folder / "report.html"
        self.begun = False
        """Whether there is anything to report."""

    def hear(self, stamped: Stamped) -> None:
        """Take in an event, and rewrite the files if it is a milestone."""
        self._fold.hear(stamped)
        if isinstance(stamped.event, RunStarted):
            self.begun = True
            self._read_history()
        if _is_milestone(stamped.event):
            self.save()

    def report(self) -> Report:
        """Return the report as it stands."""
        report = self._fold.report()
        return replace(
            report, comparison=compare(report.head, report.timing, report.criteria, self._history)
        )

    @property
    def nodeids(self) -> frozenset[str]:
        """The names in pytest of all criteria."""
        return self._fold.nodeids

    def save(self) -> None:
        """Write every file; one that cannot be written does not prevent the others."""
        report = self.report()
        for name, text in FILES.items():
            self.write(self._folder / name, text(report))

    def write(self, path: Path, text: str) -> None:
        """Write one file of the report atomically."""
        try:
            write_atomically(path, text, mode=None, durable=False)
        except OSError as error:
            self.failed(path, error)
        else:
            self._troubles.pop(path, None)
            self._written.add(path)

    def failed(self, path: Path, error: OSError) -> None:
        """Remember why a file could not be written."""
        self._troubles[path] = f"cannot write {path}: {error.strerror or error}"

    @property
    def trouble(self) -> str:
        """Why a file is out of date, empty if all are up to date."""
        return self._troubles.get(self.page) or next(iter(self._troubles.values()), "")

    @property
    def has_page(self) -> bool:
        """Whether the page that is on disk was written by this run."""
        return self.page in self._written and self.page.exists()

    @property
    def page_is_current(self) -> bool:
        """Whether it holds everything that happened so far."""
        return self.has_page and self.page not in self._troubles

    def _read_history(self) -> None:
        try:
            self._history = update_history(self._folder)
        except OSError:
            # The files of this run will fail in the same way, which is reported.
            self._history = ()


def _is_milestone(event: Event) -> bool:
    """Report whether the files are to show an event at once.

    A verdict that is no failure is shown within milliseconds, when the next criterion begins or the
    run ends: rewriting everything twice in a row is the largest part of a run's own time.
    """
    if isinstance(event, CriterionEnded):
        return event.verdict.failed
    return isinstance(event, RunStarted | CriterionStarted | RunEnded)
