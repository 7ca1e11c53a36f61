"""What failed, and where it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from firstlight.checklist import Capability
from firstlight.definition.model import Cluster, Node
from firstlight.target import Target

NODES_MAX = 6
"""Machines that are looked at; of a failure that names none, the first ones."""


@dataclass(frozen=True, slots=True)
class FailedCriterion:
    """A criterion that failed.

    Attributes:
        id: The criterion.
        title: Its sentence.
        needs: What it needs of the target.
        said: Error and last observation, masked.
    """

    id: str
    title: str
    needs: tuple[str, ...]
    said: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A stage that failed.

    Attributes:
        run_id: The run.
        stage: The stage's key, `40-apps`.
        criteria: Its criteria that failed, in order.
        cluster: The definition, as the target has it.
        target: Where.
    """

    run_id: str
    stage: str
    criteria: tuple[FailedCriterion, ...]
    cluster: Cluster
    target: Target

    @property
    def has_talos(self) -> bool:
        """Whether there are machines to ask."""
        return Capability.TALOS_API in self.target.capabilities

    @property
    def is_about_talos(self) -> bool:
        """Whether a criterion that failed asks the machines."""
        return any(Capability.TALOS_API in one.needs for one in self.criteria)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The machines concerned: those that the errors name, or all where they name none; no more than a few."""
        said = "\n".join(one.said for one in self.criteria)
        named = [
            node
            for node in self.cluster.nodes
            if _names(said, node.hostname) or _names(said, str(node.address))
        ]
        return tuple(named or self.cluster.nodes)[:NODES_MAX]

    def talosctl(self, node: Node, *words: str) -> tuple[str, ...]:
        """Return the command that asks one machine at its own address."""
        address = str(node.address)
        return (
            "talosctl",
            "--talosconfig",
            str(self.cluster.talosconfig),
            "--nodes",
            address,
            "--endpoints",
            address,
            *words,
        )

    def kubectl(self, *words: str) -> tuple[str, ...]:
        """Return the command that asks the API server."""
        return ("kubectl", *self._kubeconfig("--context"), "--request-timeout=8s", *words)

    def helm(self, *words: str) -> tuple[str, ...]:
        """Return the command that asks Helm."""
        return ("helm", *self._kubeconfig("--kube-context"), *words)

    def flux(self, *words: str) -> tuple[str, ...]:
        """Return the command that asks Flux."""
        return ("flux", *self._kubeconfig("--context"), *words)

    def cilium(self, *words: str) -> tuple[str, ...]:
        """Return the command that asks Cilium."""
        return ("cilium", *self._kubeconfig("--context"), *words)

    def _kubeconfig(self, context: str) -> Sequence[str]:
        return ("--kubeconfig", str(self.target.kubeconfig), context, self.cluster.context)

    @property
    def journal(self) -> Path:
        """The journal."""
        return self.target.state / "journal.jsonl"


def _names(said: str, name: str) -> bool:
    """Report whether a text names a machine: `infra-cp-1` is not named by `infra-cp-10`, nor an address by a longer one."""
    before, found, after = said.partition(name)
    if not found:
        return False
    apart = not (
        before[-1:].isalnum() or before[-1:] == "-" or after[:1].isalnum() or after[:1] == "-"
    )
    return apart or _names(after, name)
