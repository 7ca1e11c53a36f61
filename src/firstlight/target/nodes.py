"""The operator's own machines: nothing stands in for anything."""

from __future__ import annotations

import os
from pathlib import Path

from firstlight.target.model import Capability, Target


def open_nodes(cluster: str, checkout: Path) -> Target:
    """Describe the real machines; nothing is contacted yet."""
    home = Path.home()
    state = Path(os.environ.get("XDG_STATE_HOME") or home / ".local" / "state") / "firstlight" / "nodes" / cluster
    environment = {
        **os.environ,
        "PATH": f"{checkout / '.tools' / 'bin'}:{os.environ.get('PATH', '')}",
        "FIRSTLIGHT_CHARTS": str(checkout / ".tools" / "charts"),
        "SOPS_AGE_KEY_FILE": os.environ.get("SOPS_AGE_KEY_FILE") or str(home / ".config" / "sops" / "age" / "keys.txt"),
    }
    return Target(
        name="nodes",
        cluster=cluster,
        root=checkout,
        home=home,
        state=state,
        environment=environment,
        capabilities=frozenset(Capability),
        stand_ins=(),
    )
