"""The CRDs that Helm releases brought, and which of them the cluster lacks."""

from __future__ import annotations

from collections.abc import Collection

from firstlight.printable import names_text
from firstlight.tools.helm_records import HelmRecords
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.objects import CRDS, name_of


def crds_of(
    records: HelmRecords, releases: Collection[tuple[str, str]]
) -> dict[str, tuple[str, ...]]:
    """Return the names of the CRDs that each release brought, by the name of the release.

    Args:
        records: Where the releases are recorded.
        releases: Name and namespace of each.

    Raises:
        FirstlightError: A release has no record, or it cannot be read.
    """
    return {name: records.crds(name, namespace) for name, namespace in releases}


def why_crds_lack(
    records: HelmRecords, kubernetes: Kubernetes, releases: Collection[tuple[str, str]]
) -> str | None:
    """Return which CRDs of these releases the cluster lacks, or None.

    Raises:
        FirstlightError: The cluster does not answer, or a release has no record.
    """
    brought = crds_of(records, releases)
    if not any(brought.values()):
        return None
    present = {name_of(crd) for crd in kubernetes.list(CRDS)[0]}
    for release, crds in brought.items():
        missing = [name for name in crds if name not in present]
        if missing:
            return f"the cluster lacks {names_text(missing)}, which {release} brought"
    return None
