"""Rules for what charts must be told because of Talos, or because of a mistake of theirs that shows only on a running cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.definition.findings import Findings
    from firstlight.definition.model import Release

REGISTRY_PATH = "/etc/cri/conf.d/hosts"
"""Where Talos has containerd look for registries."""

SPEGEL_BROKEN = "0.5.0"
"""It crashes on every image whose name has no registry (spegel#1077)."""

KEEP = ("helm.sh/resource-policy", "keep")


def check_fit(known: Mapping[str, Release | None], findings: Findings) -> None:
    """Note what a chart lacks to run on Talos."""
    for name, check in (
        ("cilium", _check_cilium),
        ("spegel", _check_spegel),
        ("flux", _check_flux),
    ):
        release = known.get(name)
        if release is not None:
            check(release, findings)


def _check_cilium(release: Release, findings: Findings) -> None:
    bpf = release.values.get("bpf")
    if (
        isinstance(bpf, dict)
        and bpf.get("masquerade") is True
        and bpf.get("hostLegacyRouting") is not True
    ):
        findings.add(
            release.path,
            "spec.values.bpf.hostLegacyRouting",
            bpf.get("hostLegacyRouting"),
            rule="dns-answers-lost",
            message="with eBPF masquerading the answers of Talos's hostDNS are lost, so that CoreDNS resolves no name outside the cluster",
            fix="write `hostLegacyRouting: true` beside `masquerade`",
        )


def _check_spegel(release: Release, findings: Findings) -> None:
    seen = _value(release.values, "spegel", "containerdRegistryConfigPath")
    if seen != REGISTRY_PATH:
        findings.add(
            release.path,
            "spec.values.spegel.containerdRegistryConfigPath",
            seen,
            rule="registry-path-differs",
            message="Talos has containerd's registries in another folder than the chart's default, so Spegel would not start",
            fix=f"write `containerdRegistryConfigPath: {REGISTRY_PATH}`",
        )
    if release.version.removeprefix("v") == SPEGEL_BROKEN:
        findings.add(
            release.path,
            "chart version",
            release.version,
            rule="chart-version-broken",
            message="this version crashes on images whose name has no registry",
            fix="take 0.4.0, or 0.5.1 and later",
        )


def _check_flux(release: Release, findings: Findings) -> None:
    seen = _value(release.values, "crds", "annotations", KEEP[0])
    if seen != KEEP[1]:
        findings.add(
            release.path,
            "spec.values.crds.annotations",
            seen,
            rule="crds-not-kept",
            message="uninstalling Flux would take its CRDs along, and with them every Kustomization, HelmRelease and workload",
            fix=f"add `{KEEP[0]}: {KEEP[1]}`",
        )


def _value(values: Mapping[str, Any], *names: str) -> Any:
    value: Any = values
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
