"""The kubeconfig that kind makes, under the story's name and context, and at the cluster's endpoint."""

from __future__ import annotations

import yaml

from firstlight.definition.model import Cluster
from firstlight.errors import TargetError
from lab.simulated.paths import LabPaths, write_atomic

PRIVATE = 0o600


def renamed(text: str, cluster: Cluster) -> str:
    """Return kind's kubeconfig with the names and the server that the definition says.

    Raises:
        TargetError: It is not what kind writes: one cluster, one user.
    """
    try:
        content = yaml.safe_load(text)
        (found,), (user,) = content["clusters"], content["users"]
        found["cluster"]["server"] = cluster.endpoint
        found["name"], user["name"] = cluster.name, cluster.context
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise TargetError(
            f"cannot read the kubeconfig that kind made: {type(error).__name__}",
            next_step="./task kind:down, then again",
        ) from error
    context = {
        "name": cluster.context,
        "context": {"cluster": cluster.name, "user": cluster.context},
    }
    return yaml.safe_dump(
        {**content, "contexts": [context], "current-context": cluster.context}, sort_keys=False
    )


def export(paths: LabPaths, text: str) -> bool:
    """Write the kubeconfig where the story has it, private; report whether it said something else."""
    file = paths.kubeconfig
    if (
        file.exists()
        and file.read_text(encoding="utf-8") == text
        and file.stat().st_mode & 0o777 == PRIVATE
    ):
        return False
    write_atomic(file, text, mode=PRIVATE)
    return True
