"""Conditions of the Secrets that Flux needs before it can read the Git repository."""

from __future__ import annotations

import base64

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.definition.model import Cluster
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import SECRETS


def bootstrap_secrets_present(kubernetes: Kubernetes, cluster: Cluster) -> Condition[set[str]]:
    """Wait until the Secrets of deploy key and AGE key exist with real values.

    An empty value or an unresolved op:// reference does not count.
    """
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


def deploy_key_in_cluster(
    kubernetes: Kubernetes, cluster: Cluster, identity: str, known_hosts: str
) -> Condition[str]:
    """Wait until the Secret that Flux uses holds the same keys as 1Password."""
    name = f"{cluster.sync.namespace}/{cluster.sync.secret}"

    def probe() -> Observation[str]:
        found = read_deploy_key(kubernetes, cluster)
        if found is None:
            return not_yet(f"{name} does not exist")
        wrong = [
            field
            for field, ours, theirs in zip(
                ("identity", "known_hosts"), (identity, known_hosts), found, strict=True
            )
            if ours != theirs
        ]
        if wrong:
            return never(
                f"{cluster.sync.secret} differs from 1Password in {', '.join(wrong)}",
                rows=("FL-233",),
            )
        return holds(f"{name} holds the deploy key", cluster.sync.secret)

    return Condition(f"Secret {cluster.sync.secret} to hold the deploy key", probe)


def read_deploy_key(kubernetes: Kubernetes, cluster: Cluster) -> tuple[str, str] | None:
    """Return identity and known_hosts from the Secret that Flux uses, or None without it."""
    secret = kubernetes.get(SECRETS, cluster.sync.namespace, cluster.sync.secret)
    if secret is None:
        return None
    data = secret.get("data") or {}
    identity, known_hosts = (
        base64.b64decode(data.get(key, "")).decode(errors="replace")
        for key in ("identity", "known_hosts")
    )
    return identity, known_hosts
