"""The definition: `clusters/<name>/` and `bootstrap/<name>/`, checked and loaded as frozen data.

It reads and checks files. It never runs a process, writes a file, opens a connection or decrypts.
"""

from __future__ import annotations

from firstlight.definition.loading import cluster_names, load, load_all
from firstlight.definition.model import (
    ChartSource,
    Cluster,
    FluxSync,
    Node,
    Release,
    Role,
    SecretReference,
)

__all__ = [
    "ChartSource",
    "Cluster",
    "FluxSync",
    "Node",
    "Release",
    "Role",
    "SecretReference",
    "cluster_names",
    "load",
    "load_all",
]
