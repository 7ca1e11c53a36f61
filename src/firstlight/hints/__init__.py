"""Hints: what a known failure looks like, why it happens and what to do about it.

The one place that matches on tools' texts for people to read; whether an attempt is made again is decided beside each tool.
Only the command line in `__main__` reads or writes anything.
"""

from firstlight.hints.catalogue import ROWS, SUBJECTS, explain, match
from firstlight.hints.row import Row

__all__ = ["ROWS", "SUBJECTS", "Row", "explain", "match"]
