"""A target: where a cluster is bootstrapped, what can be verified there, and its stand-ins."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from firstlight.checklist import Capability
from firstlight.events import StandInInfo

REASONS: Mapping[Capability, str] = {
    Capability.TALOS_API: "there are no Talos machines here",
    Capability.RUNNING_PODS: (
        "pods are simulated by KWOK here: no container runs, so none can answer"
    ),
    Capability.DATAPATH: "there is no Cilium datapath here: no packet passes an eBPF program",
    Capability.CERT_MANAGER: (
        "stand-ins run in place of cert-manager's programs, "
        "which cannot be built from package registries"
    ),
    Capability.HELM_CONTROLLER: "no helm-controller runs here",
    Capability.LASTING: "the timing of a rehearsal says nothing about real machines",
}
"""Why a criterion is not verifiable without a capability; a target may override these."""


@dataclass(frozen=True, slots=True)
class Connectivity:
    """How `cilium connectivity test` runs on a target, and what it cannot verify there.

    Attributes:
        flags: Command-line flags: the target's images, and its stand-in for the internet.
        lacks: What the target lacks, as written in the name of a scenario or in the CLI's reason
            for skipping one (`l7-proxy`), and why it is missing.
    """

    flags: tuple[str, ...] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)

    def why_not(self, scenario: str, reason: str) -> str:
        """Return why a skipped scenario is not verifiable here, or "" if it should be."""
        return next(
            (
                f"{why} ({reason})"
                for what, why in self.lacks.items()
                if what in reason or what in scenario
            ),
            "",
        )


@dataclass(frozen=True, slots=True)
class Target:
    """Where a cluster is bootstrapped.

    Attributes:
        name: `simulated`, `docker`, `kind` or `nodes`.
        cluster: The cluster's name.
        root: The folder that holds `clusters/` and `bootstrap/`: the checkout, or a copy of it.
        home: The operator's home, which holds the kubeconfig and the AGE key.
        state: Holds the journal; the lock is beside it.
        environment: The environment of every command.
        capabilities: What can be verified here.
        stand_ins: What replaces the real thing here; listed in every report.
        reasons: Why a criterion is not verifiable without a capability.
        connectivity: How Cilium's connectivity test runs here.
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
        """Return the first of these capabilities that is missing here, or None."""
        return next((need for need in needs if need not in self.capabilities), None)

    @property
    def kubeconfig(self) -> Path:
        """The path of the cluster's kubeconfig."""
        return kubeconfig_path(self.home, self.cluster)


def bypass_proxies(environment: Mapping[str, str], hosts: Iterable[str]) -> dict[str, str]:
    """Return the variables with which tools contact these hosts without a proxy.

    What the environment excludes already stays excluded.
    """
    excluded = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    value = ",".join(filter(None, (excluded, *hosts)))
    return {"NO_PROXY": value, "no_proxy": value}


def kubeconfig_path(home: Path, cluster: str) -> Path:
    """Return the path of a cluster's kubeconfig, as the story names it."""
    return home / ".kube" / f"k8s-ops-{cluster}"


def state_folder(target: str, cluster: str) -> Path:
    """Return the folder for a cluster's state on a target: journal, and its lab."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "firstlight" / target / cluster


def run_lock(state: Path) -> Path:
    """Return the lock that a run holds, given the cluster's state folder.

    It is beside the folder, because what removes the folder holds the lock until it is gone.
    """
    return state.with_name(f"{state.name}.run.lock")
