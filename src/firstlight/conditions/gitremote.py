"""Conditions of the Git remote, checked with the deploy key that Flux will use."""

from __future__ import annotations

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.definition.model import Cluster
from firstlight.failures import classify
from firstlight.tools.git import Git, RemoteBranch, accepts_push

REFUSED = "FL-062"
"""The row of the catalogue for a key that can only read, which is what a deploy key has to be."""


def deploy_key_can_read(branch: RemoteBranch) -> Condition[str]:
    """Wait until the deploy key can read the branch; the value is the commit."""

    def probe() -> Observation[str]:
        head = branch.look()
        return holds(f"{branch.name} is at {head[:12]}", head)

    return Condition(f"the deploy key to read {branch.url}", probe)


def deploy_key_cannot_write(
    git: Git, cluster: Cluster, identity: str, known_hosts: str
) -> Condition[str]:
    """Wait until the remote rejects a push because the key is read-only.

    The value is the rejection.
    """

    def probe() -> Observation[str]:
        result = git.try_write(cluster.sync.url, identity=identity, known_hosts=known_hosts)
        row = classify("git", result.stderr)
        if row is not None and row.id == REFUSED:
            said = next(line for line in result.stderr.splitlines() if row.is_said_by("git", line))
            return holds(said.strip(), said.strip())
        if accepts_push(result):
            return never(
                f"the deploy key can write to {cluster.sync.url}; a deploy key has to be read-only",
                rows=("FL-206",),
            )
        # The attempt failed before the remote checked the key, which proves nothing.
        result.raise_on_failure(f"learn whether the deploy key can write to {cluster.sync.url}")
        return not_yet("no answer")

    return Condition("the Git remote to refuse a push", probe)
