"""Whether a kubeconfig file is usable: private, and for this cluster."""

from __future__ import annotations

from pathlib import Path

from firstlight.definition.model import Cluster
from firstlight.tools.reading import Unreadable, read_yaml

PRIVATE = 0o600
"""Only its owner may read a kubeconfig: it gives full access to the cluster."""


def kubeconfig_problem(path: Path, cluster: Cluster) -> str:
    """Return why a kubeconfig file is not usable for a cluster, empty if it is."""
    if not path.is_file():
        return f"{path} does not exist"
    mode = path.stat().st_mode & 0o777
    if mode != PRIVATE:
        return f"{path} has mode {mode:04o}, not {PRIVATE:04o}"
    try:
        content = read_yaml(path.read_text(), str(path)) or {}
        contexts = {
            entry["name"]: entry["context"]["cluster"] for entry in content.get("contexts") or []
        }
        servers = {
            entry["name"]: entry["cluster"]["server"] for entry in content.get("clusters") or []
        }
    except (Unreadable, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        return f"{path} is not a kubeconfig: {type(error).__name__}"
    if cluster.context not in contexts:
        found = ", ".join(sorted(contexts)) or "none"
        return f"{path} has no context {cluster.context}, only {found}"
    server = servers.get(contexts[cluster.context], "nothing")
    if server != cluster.endpoint:
        return f"{path} points at {server}, not at {cluster.endpoint}"
    return ""
