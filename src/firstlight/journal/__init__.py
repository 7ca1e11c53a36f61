"""The journal and the lock: what began is on disk before it happens, and one run holds a cluster at a time.

This package reads events only. It never contacts a cluster and never decides what to do.
"""

from firstlight.journal.history import BOOTSTRAP, BootstrapRecord, History, read_history
from firstlight.journal.journal import Journal
from firstlight.lock import cluster_lock as ClusterLock  # noqa: N812
from firstlight.lock import require_unlocked

__all__ = [
    "BOOTSTRAP",
    "BootstrapRecord",
    "ClusterLock",
    "History",
    "Journal",
    "read_history",
    "require_unlocked",
]
