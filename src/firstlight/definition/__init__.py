"""The definition: what `clusters/<name>/` and `bootstrap/<name>/` say, as frozen data.

It reads files and judges them. It never runs a process, never writes, never opens a connection, and never decrypts.
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
