"""Conditions of Helm releases and of the charts behind them."""

from __future__ import annotations

from collections.abc import Mapping

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.definition.model import Cluster
from firstlight.tools.helm import Helm, InstalledRelease


def release_deployed(helm: Helm, name: str, namespace: str) -> Condition[InstalledRelease]:
    """Say when Helm's own record says that a release is deployed."""

    def probe() -> Observation[InstalledRelease]:
        found = next(
            (
                release
                for release in helm.releases()
                if (release.name, release.namespace) == (name, namespace)
            ),
            None,
        )
        if found is None:
            return not_yet(f"no release {name} in {namespace}")
        seen = f"{found.name}: {found.status}, {found.chart}, revision {found.revision}"
        return holds(seen, found) if found.status == "deployed" else not_yet(seen)

    return Condition(f"release {name} to be deployed", probe)


def installed_in_order(helm: Helm, cluster: Cluster) -> Condition[tuple[str, ...]]:
    """Say whether the releases' own records prove that each was installed after the one before it."""

    def probe() -> Observation[tuple[str, ...]]:
        stamps = {
            release.name: helm.first_deployed(release.name, release.namespace)
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

    return Condition("the releases to have been installed in order", probe)


def charts_resolve(helm: Helm, cluster: Cluster) -> Condition[Mapping[str, str]]:
    """Say when each release's source serves its chart in exactly its version."""

    def probe() -> Observation[Mapping[str, str]]:
        served = {release.name: helm.chart_version(release) for release in cluster.releases}
        other = [
            f"{release.chart} is served as {served[release.name]}, not {release.version}"
            for release in cluster.releases
            if not same_version(served[release.name], release.version)
        ]
        return (
            never("; ".join(other))
            if other
            else holds(", ".join(f"{name} {version}" for name, version in served.items()), served)
        )

    return Condition("every chart to resolve", probe)


def same_version(first: str, second: str) -> bool:
    """Report whether two chart versions are one; Helm drops or keeps a leading v as the chart's author did."""
    return first.removeprefix("v") == second.removeprefix("v")
