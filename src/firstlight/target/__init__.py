"""Targets: where a cluster is bootstrapped and what can be verified there.

This package never decides what to do with a cluster, and contacts no machine before a criterion asks it to.
"""

from firstlight.target.connectivity import Connectivity
from firstlight.target.docker import open_docker
from firstlight.target.kind import open_kind
from firstlight.target.model import REASONS, Target, state_folder
from firstlight.target.nodes import open_nodes
from firstlight.target.simulated import open_simulated

__all__ = [
    "REASONS",
    "Connectivity",
    "Target",
    "open_docker",
    "open_kind",
    "open_nodes",
    "open_simulated",
    "state_folder",
]
