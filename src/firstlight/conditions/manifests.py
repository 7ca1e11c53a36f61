"""Conditions of what bootstrap applies by itself: the Secrets that Flux needs before it can read Git."""

from __future__ import annotations

import base64

from firstlight.conditions.condition import Condition, Observation, holds, not_yet
from firstlight.definition.model import Cluster
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import SECRETS


def secrets_present(kubernetes: Kubernetes, cluster: Cluster) -> Condition[set[str]]:
    """Say when the deploy key's and the AGE key's Secret exist, and none of their values is empty or an unresolved reference."""
    wanted = (cluster.sync.secret, cluster.sync.decryption_secret)

    def probe() -> Observation[set[str]]:
        for name in wanted:
            secret = kubernetes.get(SECRETS, cluster.sync.namespace, name)
            if secret is None:
                return not_yet(f"{cluster.sync.namespace}/{name} does not exist")
            values = {
                key: base64.b64decode(value)
                for key, value in (secret.get("data") or {"data": ""}).items()
            }
            empty = sorted(
                key
                for key, value in values.items()
                if not value.strip() or value.startswith(b"op://")
            )
            if empty:
                return not_yet(
                    f"{cluster.sync.namespace}/{name} has no value for {', '.join(empty)}"
                )
        return holds(f"{' and '.join(wanted)} in {cluster.sync.namespace}", set(wanted))

    return Condition("the bootstrap secrets to exist", probe)
