"""The sign of each standing, the same on the page and in Markdown."""

from __future__ import annotations

from typing import Final

from firstlight.report.model import Standing

GLYPHS: Final = {
    Standing.MET: "✔",
    Standing.MET_IN_PART: "◐",
    Standing.FAILED: "✗",
    Standing.NOT_VERIFIABLE: "⚠",
    Standing.OPEN: "◎",
    Standing.PLANNED: "►",
    Standing.NOT_IN_RUN: "·",
}
