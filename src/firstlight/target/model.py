"""A target: where a cluster is bootstrapped, what can be verified there, and what stands in for what."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from firstlight.checklist import Capability
from firstlight.events import StandInInfo
from firstlight.target.connectivity import Connectivity

REASONS: Mapping[Capability, str] = {
    Capability.TALOS_API: "there are no Talos machines here",
    Capability.RUNNING_PODS: "pods are simulated by KWOK here: no container runs, so none can answer",
    Capability.DATAPATH: "there is no Cilium datapath here: no packet passes an eBPF program",
    Capability.CERT_MANAGER: "stand-ins run in place of cert-manager's programs, which cannot be built from package registries",
    Capability.HELM_CONTROLLER: "no helm-controller runs here",
    Capability.LASTING: "the timing of a rehearsal says nothing about real machines",
}
"""Why a criterion cannot be verified where the capability is lacking; a target may have reasons of its own."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a cluster is bootstrapped.

    Attributes:
        name: `simulated`, `docker`, `kind` or `nodes`.
        cluster: The cluster's name.
        root: The folder whose `clusters/` and `bootstrap/` are bootstrapped; the checkout, or the target's own copy of it.
        home: The operator's home: kubeconfig and AGE key lie under it.
        state: Where journal and lock are kept.
        environment: The environment of every command.
        capabilities: What can be verified here.
        stand_ins: What stands in for the real thing, named in every report.
        reasons: Why what cannot be verified here cannot.
        connectivity: How Cilium's connectivity test is run here, and what it cannot show.
    """

    name: str
    cluster: str
    root: Path
    home: Path
    state: Path
    environment: Mapping[str, str]
    capabilities: frozenset[Capability]
    stand_ins: tuple[StandInInfo, ...]
    reasons: Mapping[Capability, str] = field(default_factory=lambda: REASONS)
    connectivity: Connectivity = field(default_factory=Connectivity)

    def lacks(self, needs: tuple[Capability, ...]) -> Capability | None:
        """Return the first capability that is needed and not here, or none."""
        return next((need for need in needs if need not in self.capabilities), None)

    @property
    def kubeconfig(self) -> Path:
        """Where the cluster's kubeconfig belongs, as the story has it."""
        return self.home / ".kube" / f"k8s-ops-{self.cluster}"


def state_folder(target: str, cluster: str) -> Path:
    """Return where what is known of a cluster on a target is kept: the lock, the journal, and all of a simulated one."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "firstlight" / target / cluster
