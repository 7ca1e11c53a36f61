"""The terminal display: what the run does now, for the person who watches it.

This package never decides anything, never writes a file, and never raises because of its output.
"""

from firstlight.display.lines import Line, lines_for
from firstlight.display.live import LiveDisplay
from firstlight.display.plain import PlainDisplay
from firstlight.display.screen import Display, Screen, choose_display
from firstlight.display.state import DisplayState

__all__ = [
    "Display",
    "DisplayState",
    "Line",
    "LiveDisplay",
    "PlainDisplay",
    "Screen",
    "choose_display",
    "lines_for",
]
