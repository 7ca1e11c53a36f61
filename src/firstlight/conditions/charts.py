"""Conditions of charts and values: helmfile and Flux say the same, and say nothing that a chart does not know."""

from __future__ import annotations

from firstlight.conditions.condition import Condition, Observation, holds, never
from firstlight.definition.model import Cluster
from firstlight.definition.parity import differences
from firstlight.definition.valuekeys import unknown_keys
from firstlight.tools.helm import Helm
from firstlight.tools.helmfile import Helmfile

APPS_FILE = "01-apps.yaml"


def values_are_equal(helmfile: Helmfile, cluster: Cluster) -> Condition[tuple[str, ...]]:
    """Say whether helmfile would install each release with exactly the chart, version, namespace and values of its HelmRelease."""

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

    return Condition("helmfile and the HelmReleases to say the same", probe)


def no_unknown_value_keys(helm: Helm, cluster: Cluster) -> Condition[int]:
    """Say whether every value that is set is one that its chart knows; its value is how many releases were compared."""

    def probe() -> Observation[int]:
        problems: list[str] = []
        for release in cluster.releases:
            problems += [
                f"{release.name}: {problem}"
                for problem in unknown_keys(release.values, helm.default_values(release))
            ]
        return (
            never("; ".join(problems))
            if problems
            else holds(f"{len(cluster.releases)} charts know every value", len(cluster.releases))
        )

    return Condition("every value to be known to its chart", probe)
