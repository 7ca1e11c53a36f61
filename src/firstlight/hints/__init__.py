"""Hints: what a known failure looks like, why it happens and what to do about it.

The one place that matches on tools' texts for people to read; whether an attempt is made again is decided beside each tool.
Nothing here does any input or output but the command line in `__main__`.
"""

from firstlight.hints.catalogue import ROWS, explain, match
from firstlight.hints.row import Class, Row

__all__ = ["ROWS", "Class", "Row", "explain", "match"]
