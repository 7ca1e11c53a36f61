"""Rules for `apiVersion`: an object of another version is refused by the API server only at the hand-off, after everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.definition.document import Document
    from firstlight.definition.findings import Findings

# The versions that Flux 2.7 stores; older ones are deprecated or gone.
_KNOWN: Mapping[str, str] = {
    "HelmRelease": "helm.toolkit.fluxcd.io/v2",
    "OCIRepository": "source.toolkit.fluxcd.io/v1",
    "HelmRepository": "source.toolkit.fluxcd.io/v1",
    "GitRepository": "source.toolkit.fluxcd.io/v1",
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
    "ConfigMap": "v1",
    "Secret": "v1",
    "Namespace": "v1",
}


def check_api_version(found: Document, findings: Findings) -> None:
    """Note an object whose `apiVersion` is not that of its kind; unknown kinds are left alone."""
    kind, seen = found.mapping.get("kind"), found.mapping.get("apiVersion")
    wanted = _KNOWN.get(kind) if isinstance(kind, str) else None
    if wanted is not None and seen != wanted:
        findings.add(
            found.path,
            "apiVersion",
            seen,
            rule="api-version-differs",
            message=f"this is not the version of a {kind} that Flux 2.7 and Kubernetes 1.35 know",
            fix=f"write `apiVersion: {wanted}`",
        )
