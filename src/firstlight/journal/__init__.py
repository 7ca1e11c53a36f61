"""The journal and the lock: what was begun, on disk before it happens, by one run at a time.

This package reads events alone; it never looks at a cluster, and never decides what has to be done.
"""

from firstlight.journal.history import BOOTSTRAP, Entry, History, read_history
from firstlight.journal.journal import Journal
from firstlight.journal.lock import ClusterLock, require_unlocked

__all__ = [
    "BOOTSTRAP",
    "ClusterLock",
    "Entry",
    "History",
    "Journal",
    "read_history",
    "require_unlocked",
]
