"""Conditions of the Git remote, asked with the deploy key before Flux has to."""

from __future__ import annotations

import base64

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.definition.model import Cluster
from firstlight.tools.classification import classify
from firstlight.tools.git import RULES, Git, took_push
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import SECRETS

REFUSED = "FL-062"
"""The row of the catalogue for a key that can only read, which is what a deploy key has to be."""


def key_can_read(git: Git, cluster: Cluster, identity: str, known_hosts: str) -> Condition[str]:
    """Say when the deploy key reads the branch; its value is the commit."""

    def probe() -> Observation[str]:
        head = git.head(
            cluster.sync.url, cluster.sync.branch, identity=identity, known_hosts=known_hosts
        )
        return holds(f"{cluster.sync.branch} is at {head[:12]}", head)

    return Condition(f"the deploy key to read {cluster.sync.url}", probe)


def key_cannot_write(git: Git, cluster: Cluster, identity: str, known_hosts: str) -> Condition[str]:
    """Say when the remote refuses a push for being made with a read-only key; its value is the refusal."""

    def probe() -> Observation[str]:
        result = git.try_write(cluster.sync.url, identity=identity, known_hosts=known_hosts)
        rule = classify(RULES, result.stderr)
        if rule is not None and rule.row == REFUSED:
            said = next(line for line in result.stderr.splitlines() if rule.matches(line))
            return holds(said.strip(), said.strip())
        if took_push(result):
            return never(
                f"the deploy key can write to {cluster.sync.url}; a deploy key has to be read-only"
            )
        # It never came to the question: that says nothing about the key.
        result.raise_on_failure(
            f"learn whether the deploy key can write to {cluster.sync.url}", rules=RULES
        )
        return not_yet("no answer")

    return Condition("the Git remote to refuse a push", probe)


def same_key_in_cluster(
    kubernetes: Kubernetes, cluster: Cluster, identity: str, known_hosts: str
) -> Condition[str]:
    """Say when the Secret that Flux uses holds the deploy key and host keys that 1Password holds."""

    def probe() -> Observation[str]:
        found = read_key(kubernetes, cluster)
        if found is None:
            return not_yet(f"{cluster.sync.namespace}/{cluster.sync.secret} does not exist")
        wrong = [
            name
            for name, ours, theirs in zip(
                ("identity", "known_hosts"), (identity, known_hosts), found, strict=True
            )
            if ours != theirs
        ]
        if wrong:
            return never(f"{cluster.sync.secret} differs from 1Password in {', '.join(wrong)}")
        return holds(
            f"{cluster.sync.namespace}/{cluster.sync.secret} holds the deploy key",
            cluster.sync.secret,
        )

    return Condition(f"Secret {cluster.sync.secret} to hold the deploy key", probe)


def read_key(kubernetes: Kubernetes, cluster: Cluster) -> tuple[str, str] | None:
    """Return identity and known_hosts from the Secret that Flux uses, or none when it does not exist."""
    secret = kubernetes.get(SECRETS, cluster.sync.namespace, cluster.sync.secret)
    if secret is None:
        return None
    data = secret.get("data") or {}
    identity, known_hosts = (
        base64.b64decode(data.get(key, "")).decode(errors="replace")
        for key in ("identity", "known_hosts")
    )
    return identity, known_hosts
