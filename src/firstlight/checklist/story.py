"""The story as values: its stages, steps, acceptance criteria and checklist boxes."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Stage(StrEnum):
    """A stage of the bootstrap, in the order in which stages run.

    The value is the stage's key in the report and the journal: its number and its name.
    """

    PREFLIGHT = "00-preflight"
    TALOS = "10-talos"
    KUBERNETES = "20-kubernetes"
    CRDS = "30-crds"
    APPS = "40-apps"
    FLUX = "50-flux"
    FLUX_HEALTH = "60-flux-health"
    CILIUM = "70-cilium"
    TIMING = "90-timing"
    UNLISTED = "unlisted"
    """For events about a criterion that the run did not announce, as in a damaged record."""

    @property
    def word(self) -> str:
        """The stage's name without its number, as `--stage` takes it: `talos`."""
        return self.value.partition("-")[2] or self.value

    @property
    def position(self) -> int:
        """The stage's place in the run, counted from 0."""
        return list(Stage).index(self)

    @property
    def and_earlier(self) -> frozenset[Stage]:
        """This stage and every stage that runs before it."""
        return frozenset(list(Stage)[: self.position + 1])


class Step(StrEnum):
    """A part of the bootstrap that the story runs on its own, such as `bootstrap:infra:secrets`.

    A criterion names the steps that it belongs to. Some steps are whole stages, see `stages`.
    """

    VALIDATE = "validate"
    GEN_CONFIG = "gen-config"
    KUBECONFIG = "kubeconfig"
    PUSH = "push"
    SECRETS = "secrets"
    CRDS = "crds"
    WAIT_CRDS = "wait-crds"
    HEALTH = "health"
    VERIFY = "verify"

    @property
    def stages(self) -> frozenset[Stage]:
        """The stages that belong to this step as a whole."""
        whole = {
            Step.VALIDATE: frozenset({Stage.PREFLIGHT}),
            Step.VERIFY: frozenset({Stage.FLUX_HEALTH, Stage.CILIUM}),
        }
        return whole.get(self, frozenset())


class AcceptanceCriterion(StrEnum):
    """An acceptance criterion of the story; the value is its key in the report."""

    text: str
    """The story's words."""

    def __new__(cls, key: str, text: str) -> Self:
        """Create a member from its key and the story's words."""
        member = str.__new__(cls, key)
        member._value_ = key
        member.text = text
        return member

    AC1 = "AC1", "Talos control plane is bootstrapped via `talosctl bootstrap`"
    AC2 = "AC2", "kubeconfig is generated via `talosctl kubeconfig`"
    AC3 = (
        "AC3",
        (
            "helmfile installs components in order: "
            "CRDs → Cilium → CoreDNS → Spegel → cert-manager → Flux"
        ),
    )
    AC4 = "AC4", "Flux connects to GitHub repository using deploy key"
    AC5 = "AC5", "`flux check` passes with all components healthy"
    AC6 = "AC6", "Cilium connectivity tests pass (`cilium connectivity test`)"
    AC7 = "AC7", "bootstrap completes within 30 minutes (NFR2)"


AC1, AC2, AC3, AC4, AC5, AC6, AC7 = AcceptanceCriterion


class Box(StrEnum):
    """A box of the story's validation checklist, in the story's words and order."""

    TALOS_BOOTSTRAP = "`talosctl bootstrap` completed successfully"
    KUBECONFIG = "Kubeconfig generated and pushed to 1Password"
    CRDS = "All CRDs are established and Ready"
    CILIUM = "Cilium pods running with correct cluster.id=1"
    COREDNS = "CoreDNS pods running and resolving cluster DNS"
    SPEGEL = "Spegel pods running for P2P image caching"
    CERT_MANAGER = "cert-manager pods running"
    FLUX = "Flux pods running and healthy"
    FLUX_CHECK = "`flux check` passes all checks"
    CONNECTIVITY = "`cilium connectivity test` passes"
    GIT_REPOSITORY = "GitRepository shows Ready status"
    TIMING = "Bootstrap completed in < 30 minutes"
    NODES = "All nodes show Ready status"
    NO_FAILING_PODS = "`kubectl get pods -A | grep -v Running` returns no failing pods"
