"""Conditions of Helm releases, their charts and their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.definition.model import Cluster
from firstlight.definition.parity import differences, unknown_keys
from firstlight.tools.concurrency import concurrently
from firstlight.tools.helm import Helm
from firstlight.tools.helm_records import HelmRecords, InstalledRelease
from firstlight.tools.helmfile import Helmfile

APPS_FILE = "01-apps.yaml"
CRDS_NAMESPACE = "kube-system"
"""Where the CRD releases are recorded."""


def every_chart_resolves(helm: Helm, cluster: Cluster) -> Condition[Mapping[str, str]]:
    """Check that each release's source serves its chart in exactly the version it names."""

    def probe() -> Observation[Mapping[str, str]]:
        versions = concurrently(partial(helm.chart_version, each) for each in cluster.releases)
        served = {
            release.name: version
            for release, version in zip(cluster.releases, versions, strict=True)
        }
        other = [
            f"{release.chart} is served as {served[release.name]}, not {release.version}"
            for release in cluster.releases
            if not same_version(served[release.name], release.version)
        ]
        return (
            never("; ".join(other), rows=("FL-212",))
            if other
            else holds(", ".join(f"{name} {version}" for name, version in served.items()), served)
        )

    return Condition("every chart to resolve", probe)


def values_equal_the_helmreleases(
    helmfile: Helmfile, cluster: Cluster
) -> Condition[tuple[str, ...]]:
    """Check that helmfile installs each release exactly as its HelmRelease defines it.

    Chart, version, namespace and values are compared.
    """

    def probe() -> Observation[tuple[str, ...]]:
        rendered = {str(row["name"]): row for row in helmfile.releases(APPS_FILE)}
        values = helmfile.values(APPS_FILE)
        problems: list[str] = []
        for release in cluster.releases:
            if release.name not in rendered:
                problems.append(f"helmfile has no release {release.name}")
                continue
            problems += [
                str(each)
                for each in differences(
                    release, rendered[release.name], values.get(release.name, {})
                )
            ]
        names = tuple(release.name for release in cluster.releases)
        return (
            never("; ".join(problems)) if problems else holds(f"{', '.join(names)}: equal", names)
        )

    return Condition("helmfile and the HelmReleases to be equal", probe, row="FL-220")


def no_unknown_value_keys(helm: Helm, cluster: Cluster) -> Condition[int]:
    """Check that each chart knows every value that is set; the value counts the releases."""

    def probe() -> Observation[int]:
        if not cluster.releases:
            return never("the definition has no releases")
        defaults = concurrently(partial(helm.default_values, each) for each in cluster.releases)
        problems = [
            f"{release.name}: {problem}"
            for release, known in zip(cluster.releases, defaults, strict=True)
            for problem in unknown_keys(release.values, known)
        ]
        return (
            never("; ".join(problems))
            if problems
            else holds(f"{len(cluster.releases)} charts know every value", len(cluster.releases))
        )

    return Condition("every value to be known to its chart", probe, row="FL-218")


def release_deployed(
    records: HelmRecords, name: str, namespace: str
) -> Condition[InstalledRelease]:
    """Wait until Helm records a release as deployed."""

    def probe() -> Observation[InstalledRelease]:
        found = records.find(name, namespace)
        if found is None:
            return not_yet(f"no release {name} in {namespace}")
        seen = _text(records, found)
        return holds(seen, found) if found.status == "deployed" else not_yet(seen)

    return Condition(f"release {name} to be deployed", probe)


def every_crd_release_deployed(
    records: HelmRecords, cluster: Cluster
) -> Condition[tuple[str, ...]]:
    """Wait until Helm records every CRD release as deployed; the value is their names."""

    def probe() -> Observation[tuple[str, ...]]:
        if not cluster.crd_releases:
            return never("the definition has no CRD releases")
        installed = records.releases()
        lines = []
        for name in cluster.crd_releases:
            found = _find(installed, name, CRDS_NAMESPACE)
            if found is None:
                return not_yet(f"no release {name} in {CRDS_NAMESPACE}")
            if found.status != "deployed":
                return not_yet(_text(records, found))
            lines.append(_text(records, found))
        return holds("; ".join(lines), cluster.crd_releases)

    return Condition("the CRD releases to be deployed", probe)


def releases_installed_in_order(
    records: HelmRecords, cluster: Cluster
) -> Condition[tuple[str, ...]]:
    """Check by Helm's own records that each release was installed after the one before it."""

    def probe() -> Observation[tuple[str, ...]]:
        stamps = {
            release.name: records.first_deployed(release.name, release.namespace)
            for release in cluster.releases
        }
        order = tuple(sorted(stamps, key=lambda name: stamps[name]))
        wanted = tuple(release.name for release in cluster.releases)
        seen = " -> ".join(f"{name} {stamps[name]:%H:%M:%S}" for name in order)
        return (
            holds(seen, order)
            if order == wanted
            else never(f"{seen}; wanted {' -> '.join(wanted)}")
        )

    return Condition("the releases to have been installed in order", probe, row="FL-234")


def release_has_value(
    records: HelmRecords, name: str, namespace: str, key: str, expected: str
) -> Condition[str]:
    """Check that a release was installed with a value; an installed release does not change."""

    def probe() -> Observation[str]:
        value = records.values(name, namespace).get(key)
        seen = f"{key} of {name} is {'unset' if value is None else value}"
        return holds(seen, expected) if value == expected else never(f"{seen}, not {expected}")

    return Condition(f"release {name} to have {key} {expected}", probe)


def same_version(first: str, second: str) -> bool:
    """Report whether two chart versions are equal, with or without a leading v."""
    return first.removeprefix("v") == second.removeprefix("v")


def _find(
    releases: Sequence[InstalledRelease], name: str, namespace: str
) -> InstalledRelease | None:
    return next(
        (each for each in releases if (each.name, each.namespace) == (name, namespace)), None
    )


def _text(records: HelmRecords, release: InstalledRelease) -> str:
    return (
        f"{release.name}: {release.status}, {records.chart(release)}, revision {release.revision}"
    )
