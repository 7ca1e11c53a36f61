"""The operator's own machines, without any stand-in."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from firstlight.checklist import Capability
from firstlight.target.model import Connectivity, Target, state_folder

FLAGS_VARIABLE = "FIRSTLIGHT_CONNECTIVITY_FLAGS"
"""Holds the operator's flags for `cilium connectivity test`, such as those for image mirrors."""

FLAGS = "--external-target google.com."
"""From Talos's end-to-end test; the CLI's default target is slow with many clients (FL-044)."""


def open_nodes(cluster: str, checkout: Path) -> Target:
    """Describe the real machines without contacting them."""
    home = Path.home()
    environment = {
        **os.environ,
        "PATH": f"{checkout / '.tools' / 'bin'}:{os.environ.get('PATH', '')}",
        "FIRSTLIGHT_CHARTS": str(checkout / ".tools" / "charts"),
        "SOPS_AGE_KEY_FILE": os.environ.get("SOPS_AGE_KEY_FILE")
        or str(home / ".config" / "sops" / "age" / "keys.txt"),
    }
    return Target(
        name="nodes",
        cluster=cluster,
        root=checkout,
        home=home,
        state=state_folder("nodes", cluster),
        environment=environment,
        capabilities=frozenset(Capability),
        stand_ins=(),
        connectivity=Connectivity(flags=tuple(shlex.split(os.environ.get(FLAGS_VARIABLE, FLAGS)))),
    )
