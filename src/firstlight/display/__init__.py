"""The terminal display: what the run does now, for the person who watches it.

This package never decides anything, never writes a file, and never raises because nobody looks.
"""

from firstlight.display.glyphs import ASCII, UNICODE, Glyphs, glyphs_for
from firstlight.display.live import LiveDisplay
from firstlight.display.plain import SILENCE_S, PlainDisplay
from firstlight.display.scene import Scene
from firstlight.display.screen import Display, Screen, choose_display
from firstlight.display.told import Line, told

__all__ = [
    "ASCII",
    "SILENCE_S",
    "UNICODE",
    "Display",
    "Glyphs",
    "Line",
    "LiveDisplay",
    "PlainDisplay",
    "Scene",
    "Screen",
    "choose_display",
    "glyphs_for",
    "told",
]
