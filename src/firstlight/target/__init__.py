"""Targets: where a cluster is bootstrapped and what can be verified there.

This package never decides what to do with a cluster, and never contacts a machine.
"""

from firstlight.target.lab import open_lab
from firstlight.target.model import (
    REASONS,
    Connectivity,
    Target,
    bypass_proxies,
    kubeconfig_path,
    run_lock,
    state_folder,
)
from firstlight.target.nodes import open_nodes

__all__ = [
    "REASONS",
    "Connectivity",
    "Target",
    "bypass_proxies",
    "kubeconfig_path",
    "open_lab",
    "open_nodes",
    "run_lock",
    "state_folder",
]
