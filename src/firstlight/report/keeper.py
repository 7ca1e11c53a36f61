"""Keep `report.json` on disk in step with the run, so that a killed run leaves the report of what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.events import CriterionEnded, CriterionStarted, RunEnded, RunStarted, Stamped
from firstlight.report.document import write_json
from firstlight.report.fold import Fold

if TYPE_CHECKING:
    from pathlib import Path

    from firstlight.report.model import Report


class Keeper:
    """Listens to a bus: folds every event, and rewrites the file whenever a criterion begins or ends.

    A report that cannot be written must not stop a bootstrap: the reason is kept in `trouble` and told at the end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fold = Fold()
        self.trouble = ""
        self.begun = False
        """Whether there is anything to report."""

    def hear(self, stamped: Stamped) -> None:
        """Take in one event, and write the file if it is one that people look for."""
        self._fold.hear(stamped)
        self.begun = self.begun or isinstance(stamped.event, RunStarted)
        if isinstance(stamped.event, RunStarted | CriterionStarted | CriterionEnded | RunEnded):
            self.save()

    def report(self) -> Report:
        """Return the report as it stands."""
        return self._fold.report()

    def save(self) -> None:
        """Write the file as things stand."""
        try:
            write_json(self._path, self._fold.report())
        except OSError as error:
            self.trouble = f"cannot write {self._path}: {error.strerror or error}"
        else:
            self.trouble = ""
