"""The journal and the lock: what began is on disk before it happens, and one run holds a cluster at a time.

This package reads events only. It never contacts a cluster and never decides what to do.
"""

from firstlight.journal.history import BOOTSTRAP, BootstrapRecord, History, read_history
from firstlight.journal.journal import Journal

__all__ = [
    "BOOTSTRAP",
    "BootstrapRecord",
    "History",
    "Journal",
    "read_history",
]
