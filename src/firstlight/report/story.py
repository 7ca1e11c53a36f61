"""The story's own words: its seven acceptance criteria and the fourteen boxes of its validation checklist."""

from __future__ import annotations

from typing import Final

ACCEPTANCE: Final = (
    ("AC1", "Talos control plane is bootstrapped via `talosctl bootstrap`"),
    ("AC2", "kubeconfig is generated via `talosctl kubeconfig`"),
    (
        "AC3",
        "helmfile installs components in order: CRDs → Cilium → CoreDNS → Spegel → cert-manager → Flux",
    ),
    ("AC4", "Flux connects to GitHub repository using deploy key"),
    ("AC5", "`flux check` passes with all components healthy"),
    ("AC6", "Cilium connectivity tests pass (`cilium connectivity test`)"),
    ("AC7", "bootstrap completes within 30 minutes (NFR2)"),
)

CHECKLIST: Final = (
    "`talosctl bootstrap` completed successfully",
    "Kubeconfig generated and pushed to 1Password",
    "All CRDs are established and Ready",
    "Cilium pods running with correct cluster.id=1",
    "CoreDNS pods running and resolving cluster DNS",
    "Spegel pods running for P2P image caching",
    "cert-manager pods running",
    "Flux pods running and healthy",
    "`flux check` passes all checks",
    "`cilium connectivity test` passes",
    "GitRepository shows Ready status",
    "Bootstrap completed in < 30 minutes",
    "All nodes show Ready status",
    "`kubectl get pods -A | grep -v Running` returns no failing pods",
)
"""In the story's order; a criterion names its boxes in exactly these words."""
