"""The journal: what a run begins is on disk before it happens.

This package reads events only. It never contacts a cluster and never decides what to do.
"""

from firstlight.journal.history import BOOTSTRAP, BootstrapRecord, History, read_history
from firstlight.journal.journal import JOURNAL, Journal, require_usable

__all__ = [
    "BOOTSTRAP",
    "JOURNAL",
    "BootstrapRecord",
    "History",
    "Journal",
    "read_history",
    "require_usable",
]
