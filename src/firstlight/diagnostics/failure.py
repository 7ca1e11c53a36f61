"""What failed, and the commands that read the state of the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from firstlight.checklist import Capability, Stage
from firstlight.definition.model import Cluster, Node
from firstlight.target import Target

NODES_MAX = 6
"""Machines that are asked; the first ones, if the errors name none."""


@dataclass(frozen=True, slots=True)
class FailedCriterion:
    """A criterion that failed.

    Attributes:
        id: The criterion's id.
        title: Its title.
        needs: The capabilities that it needs.
        error: Its error and last observation, masked.
    """

    id: str
    title: str
    needs: tuple[str, ...]
    error: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A stage that failed.

    Attributes:
        run_id: The run's id.
        stage: The stage.
        criteria: The failed criteria, in order.
        cluster: The target's copy of the definition.
        target: Where it failed.
    """

    run_id: str
    stage: Stage
    criteria: tuple[FailedCriterion, ...]
    cluster: Cluster
    target: Target

    @property
    def has_talos(self) -> bool:
        """Whether the target has Talos machines."""
        return Capability.TALOS_API in self.target.capabilities

    @property
    def is_about_talos(self) -> bool:
        """Whether a failed criterion needs the Talos API."""
        return any(Capability.TALOS_API in one.needs for one in self.criteria)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The machines that the errors name, or the first ones if they name none."""
        errors = "\n".join(one.error for one in self.criteria)
        named = [
            node
            for node in self.cluster.nodes
            if _names(errors, node.hostname) or _names(errors, str(node.address))
        ]
        return tuple(named or self.cluster.nodes)[:NODES_MAX]

    def talosctl(self, node: Node, *words: str) -> tuple[str, ...]:
        """Return a talosctl command for one machine at its own address."""
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
        """Return a kubectl command."""
        return ("kubectl", *self._kubeconfig("--context"), "--request-timeout=8s", *words)

    def helm(self, *words: str) -> tuple[str, ...]:
        """Return a helm command."""
        return ("helm", *self._kubeconfig("--kube-context"), *words)

    def flux(self, *words: str) -> tuple[str, ...]:
        """Return a flux command."""
        return ("flux", *self._kubeconfig("--context"), *words)

    def cilium(self, *words: str) -> tuple[str, ...]:
        """Return a cilium command."""
        return ("cilium", *self._kubeconfig("--context"), *words)

    def _kubeconfig(self, context: str) -> Sequence[str]:
        return ("--kubeconfig", str(self.target.kubeconfig), context, self.cluster.context)

    @property
    def journal(self) -> Path:
        """The path of the journal."""
        return self.target.state / "journal.jsonl"


def _names(text: str, name: str) -> bool:
    """Report whether a text contains a machine's name or address, not as part of a longer one."""
    before, found, after = text.partition(name)
    if not found:
        return False
    apart = not (
        before[-1:].isalnum() or before[-1:] == "-" or after[:1].isalnum() or after[:1] == "-"
    )
    return apart or _names(after, name)
