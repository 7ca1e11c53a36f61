"""Actions that install Helm releases through helmfile, and first mend what a killed helm left behind."""

from __future__ import annotations

from collections.abc import Sequence

from firstlight.actions.action import Action
from firstlight.definition.model import Cluster, Release
from firstlight.errors import ActionFailed
from firstlight.tools.helm import Helm, InstalledRelease
from firstlight.tools.helmfile import Helmfile

CRDS_FILE = "00-crds.yaml"
APPS_FILE = "01-apps.yaml"


def apply_crds(helmfile: Helmfile, helm: Helm, cluster: Cluster) -> Action:
    """Install the CRD releases, before anything that uses them."""

    def need() -> str | None:
        found = {release.name: release for release in helm.releases()}
        wanted = {row["name"]: row for row in helmfile.releases(CRDS_FILE)}
        for name in cluster.crd_releases:
            why = _why(found.get(name), name, str(wanted[name].get("version", "")))
            if why:
                return why
        return None

    def act() -> None:
        _mend(helm, cluster.crd_releases)
        helmfile.sync(CRDS_FILE)

    return Action(title="apply the CRDs", need=need, act=act, commands=(" ".join(helmfile.command(CRDS_FILE, "sync")),))


def install_release(helmfile: Helmfile, helm: Helm, cluster: Cluster, release: Release) -> Action:
    """Install one release with helmfile, chart, version and values as its HelmRelease says."""

    def need() -> str | None:
        found = next((r for r in helm.releases() if (r.name, r.namespace) == (release.name, release.namespace)), None)
        why = _why(found, release.name, release.version)
        if why:
            return why
        return None if helm.values(release.name, release.namespace) == release.values else f"{release.name} has other values than its HelmRelease"

    def act() -> None:
        earlier = cluster.releases[: cluster.releases.index(release)]
        deployed = {r.name for r in helm.releases() if r.status == "deployed"}
        missing = [r.name for r in earlier if r.name not in deployed]
        if missing:
            raise ActionFailed(
                f"cannot install {release.name}: {', '.join(missing)} must be deployed before it", next_step=f"./task bootstrap:{cluster.name}:apps"
            )
        _mend(helm, (release.name,))
        helmfile.sync(APPS_FILE, release=release.name)

    return Action(
        title=f"install {release.name} {release.version}",
        need=need,
        act=act,
        commands=(" ".join(helmfile.command(APPS_FILE, "--selector", f"name={release.name}", "sync", "--hide-notes", "--skip-needs")),),
    )


def _why(found: InstalledRelease | None, name: str, version: str) -> str:
    """Return why a release has to be installed, empty when it is there in that version."""
    if found is None:
        return f"{name} is not installed"
    if found.status != "deployed":
        return f"{name} is {found.status} (revision {found.revision})"
    if version and not found.chart.endswith((f"-{version}", f"-{version.removeprefix('v')}", f"-v{version.removeprefix('v')}")):
        return f"{name} is {found.chart}, not {version}"
    return ""


def _mend(helm: Helm, names: Sequence[str]) -> None:
    """Mend releases that a killed helm left `pending-*`: a first installation is removed, an upgrade rolled back (failures: FL-055).

    A release that only failed needs no mending: the next sync upgrades it.
    """
    for release in helm.releases():
        if release.name in names and release.status.startswith("pending-"):
            if release.revision == 1:
                helm.uninstall(release)
            else:
                helm.rollback(release)
