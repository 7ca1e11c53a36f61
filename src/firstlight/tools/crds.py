"""The CRDs that Helm releases brought, and which of them the cluster lacks."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from firstlight.printable import names_text
from firstlight.tools.concurrency import concurrently
from firstlight.tools.helm import Helm
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import CRDS, name_of


def crds_of(helm: Helm, releases: Collection[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return the names of the CRDs that each release brought, by the name of the release.

    Args:
        helm: Where the releases are recorded.
        releases: Name and namespace of each.

    Raises:
        FirstlightError: A release has no record, or it cannot be read.
    """
    found = concurrently(partial(helm.crds, *identity) for identity in releases)
    return {name: crds for (name, _), crds in zip(releases, found, strict=True)}


def why_crds_lack(
    helm: Helm, kubernetes: Kubernetes, releases: Collection[tuple[str, str]]
) -> str | None:
    """Return which CRDs of these releases the cluster lacks, or None.

    Raises:
        FirstlightError: The cluster does not answer, or a release has no record.
    """
    brought = crds_of(helm, releases)
    if not any(brought.values()):
        return None
    present = {name_of(crd) for crd in kubernetes.list(CRDS)[0]}
    for release, crds in brought.items():
        missing = [name for name in crds if name not in present]
        if missing:
            return f"the cluster lacks {names_text(missing)}, which {release} brought"
    return None
