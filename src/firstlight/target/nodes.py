"""The operator's own machines: nothing stands in for anything."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from firstlight.checklist import Capability
from firstlight.target.connectivity import Connectivity
from firstlight.target.model import Target, state_folder

FLAGS_VARIABLE = "FIRSTLIGHT_CONNECTIVITY_FLAGS"
"""The operator's own words for `cilium connectivity test`, where a site has mirrors of its images or another internet."""

FLAGS = "--external-target google.com."
"""As Talos's own end-to-end test has it: the CLI's default target answers slowly to many who ask at once (FL-044)."""


def open_nodes(cluster: str, checkout: Path) -> Target:
    """Describe the real machines; nothing is contacted yet."""
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
