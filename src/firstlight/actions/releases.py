"""Actions that install Helm releases with helmfile, after repairing what a killed helm left."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from firstlight.actions.action import Action
from firstlight.definition.model import Cluster, Release
from firstlight.errors import ActionFailed, FirstlightError
from firstlight.process import ToolFailed
from firstlight.tools.crds import why_crds_lack
from firstlight.tools.helm import Helm, local_chart_version
from firstlight.tools.helm_records import HelmRecords, InstalledRelease
from firstlight.tools.helmfile import Helmfile
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.pod_reasons import unready_workloads

Identity = tuple[str, str]
"""Name and namespace: a release of the same name elsewhere is not ours."""

INCOMPLETE = ("pending-", "uninstalling")
"""States in which Helm refuses to continue; our own repair may have been killed as well."""

CRDS_FILE = "00-crds.yaml"
APPS_FILE = "01-apps.yaml"


def apply_crds(
    helmfile: Helmfile,
    helm: Helm,
    records: HelmRecords,
    kubernetes: Kubernetes,
    cluster: Cluster,
) -> Action:
    """Install the CRD releases, which everything else depends on.

    Their CRDs are templates, so installing a release again brings back those that were deleted.
    """

    def wanted() -> dict[Identity, tuple[str, str]]:
        """Return chart and version of each release; only the local charts know their version."""
        rows = {str(row["name"]): row for row in helmfile.releases(CRDS_FILE)}
        unknown = [name for name in cluster.crd_releases if name not in rows]
        if unknown:
            raise ActionFailed(
                f"cannot apply the CRDs: {CRDS_FILE} has no release {', '.join(unknown)}"
            )
        charts = {
            name: cluster.bootstrap_dir / "helmfile.d" / str(rows[name].get("chart", ""))
            for name in cluster.crd_releases
        }
        return {
            (name, str(rows[name]["namespace"])): (chart.name, local_chart_version(chart))
            for name, chart in charts.items()
        }

    def need() -> str | None:
        found = {(release.name, release.namespace): release for release in records.releases()}
        charts = wanted()
        reasons = (
            _why(records, found.get(identity), identity[0], *chart)
            for identity, chart in charts.items()
        )
        why = next((why for why in reasons if why), None)
        return why or why_crds_lack(records, kubernetes, charts)

    def act() -> None:
        _repair(helm, records, tuple(wanted()))
        helmfile.sync(CRDS_FILE)

    return Action(
        title="apply the CRDs",
        need=need,
        act=act,
        commands=lambda: (
            *_repair_commands(helm, records, tuple(wanted())),
            shlex.join(helmfile.sync_command(CRDS_FILE)),
        ),
    )


def install_release(
    helmfile: Helmfile,
    helm: Helm,
    records: HelmRecords,
    kubernetes: Kubernetes,
    cluster: Cluster,
    release: Release,
) -> Action:
    """Install one release with helmfile: chart, version and values of its HelmRelease."""
    identity = (release.name, release.namespace)

    def need() -> str | None:
        found = records.find(*identity)
        why = _why(records, found, release.name, release.chart, release.version)
        if why:
            return why
        if records.values(release.name, release.namespace) != release.values:
            return f"the values of {release.name} differ from its HelmRelease"
        return why_crds_lack(records, kubernetes, (identity,))

    def act() -> None:
        earlier = cluster.releases[: cluster.releases.index(release)]
        deployed = {
            (each.name, each.namespace) for each in records.releases() if each.status == "deployed"
        }
        missing = [each.name for each in earlier if (each.name, each.namespace) not in deployed]
        if missing:
            raise ActionFailed(
                f"cannot install {release.name}: {', '.join(missing)} must be deployed before it",
                row="FL-057",
                next_step=f"./task bootstrap:releases CLUSTER={cluster.name} TARGET=<target>",
            )
        _repair(helm, records, (identity,))
        try:
            helmfile.sync(APPS_FILE, release=release.name)
        except ToolFailed as error:
            error.message += _pods_of(kubernetes, release)
            raise

    return Action(
        title=f"install {release.name} {release.version}",
        need=need,
        act=act,
        commands=lambda: (
            *_repair_commands(helm, records, (identity,)),
            shlex.join(helmfile.sync_command(APPS_FILE, release=release.name)),
        ),
    )


def _pods_of(kubernetes: Kubernetes, release: Release) -> str:
    """Return what holds back the pods of a failed release: Helm only reports that it timed out."""
    try:
        lines = unready_workloads(kubernetes, release.name, release.namespace)
    except FirstlightError as error:
        lines = [error.summary]
    return "\n  pods      " + "\n            ".join(lines) if lines else ""


def _why(
    records: HelmRecords, found: InstalledRelease | None, name: str, chart: str, version: str
) -> str:
    """Return why a release must be installed, empty if that version of the chart is deployed."""
    if found is None:
        return f"{name} is not installed"
    if found.status != "deployed":
        return f"{name} is {found.status} (revision {found.revision})"
    # Charts may keep or drop the leading v; build metadata after a plus does not count.
    bare = version.removeprefix("v").split("+")[0]
    seen = records.chart(found)
    if version and seen.split("+")[0] not in (f"{chart}-{bare}", f"{chart}-v{bare}"):
        return f"{name} is {seen}, not {chart}-{version}"
    return ""


def _repair(helm: Helm, records: HelmRecords, wanted: Sequence[Identity]) -> None:
    """Repair releases that a killed helm left incomplete (FL-055).

    A release that was never deployed is removed, any other is rolled back. A release that only
    failed needs no repair: the next sync upgrades it.
    """
    for release, revision in _incomplete(records, wanted):
        if revision is None:
            helm.uninstall(release)
        else:
            helm.rollback(release, revision)


def _repair_commands(
    helm: Helm, records: HelmRecords, wanted: Sequence[Identity]
) -> tuple[str, ...]:
    try:
        incomplete = list(_incomplete(records, wanted))
    except FirstlightError:
        # The cluster does not exist yet, so there is nothing to repair.
        return ()
    words = [
        helm.uninstall_command(release)
        if revision is None
        else helm.rollback_command(release, revision)
        for release, revision in incomplete
    ]
    return tuple(map(shlex.join, words))


def _incomplete(
    records: HelmRecords, wanted: Sequence[Identity]
) -> Iterator[tuple[InstalledRelease, int | None]]:
    """Yield each incomplete release with the revision to roll back to, or None without one."""
    found = {(each.name, each.namespace): each for each in records.releases()}
    for release in (found[identity] for identity in wanted if identity in found):
        if release.status.startswith(INCOMPLETE):
            yield (
                release,
                None
                if release.status in ("pending-install", "uninstalling")
                else records.last_good_revision(release),
            )
