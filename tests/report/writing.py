"""Write a report once, at the end of its stream; a run rewrites it at every milestone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from firstlight.events import Stamped
from firstlight.report import ReportWriter


class Patient(ReportWriter):
    """Writes nothing by itself."""

    def save(self) -> None:
        """Wait for the end."""


def write_once(folder: Path, stream: Iterable[Stamped]) -> ReportWriter:
    """Write the report of a stream, and return its writer."""
    writer = Patient(folder)
    for stamped in stream:
        writer.hear(stamped)
    ReportWriter.save(writer)
    return writer
