"""helm: what releases a cluster has, and what charts a repository has."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from firstlight.definition.model import ChartSource, Release
from firstlight.tools.classification import Class, Rule
from firstlight.tools.process import CommandResult
from firstlight.tools.runner import Runner

LOOK_S = 30.0
CHART_S = 60.0

RULES: tuple[Rule, ...] = (
    Rule(r"another operation \(install/upgrade/rollback\) is in progress", Class.FATAL, "FL-055"),
    Rule(r"invalid ownership metadata", Class.FATAL, "FL-047"),
    Rule(r"cluster unreachable|connection refused|\bEOF\b|TLS handshake timeout", Class.RETRY, "FL-025"),
    Rule(r"timed out waiting for the condition", Class.FATAL, "FL-054"),
    Rule(r"toomanyrequests|429 Too Many Requests", Class.FATAL, "FL-030"),
)


@dataclass(frozen=True, slots=True)
class InstalledRelease:
    """A release as Helm's own record in the cluster has it.

    Attributes:
        name: The release.
        namespace: Where it is.
        chart: Chart and version in one word, as Helm says it (`cilium-1.18.5`).
        status: `deployed`, `failed`, `pending-install` ...
        revision: Counted from one.
        updated: When it was last changed.
    """

    name: str
    namespace: str
    chart: str
    status: str
    revision: int
    updated: str


class Helm:
    """Ask Helm about releases and charts."""

    def __init__(self, runner: Runner, kubeconfig: Path, context: str) -> None:
        self._runner = runner
        self._base = ["helm", "--kubeconfig", str(kubeconfig), "--kube-context", context]

    def releases(self) -> tuple[InstalledRelease, ...]:
        """List every release in every state.

        Raises:
            ToolFailed: The cluster did not answer.
        """
        result = self._runner.run([*self._base, "list", "--all-namespaces", "--all", "--output", "json"], timeout_s=LOOK_S, quiet=True)
        result.raise_on_failure("list the Helm releases", rules=RULES)
        return tuple(parse_releases(result.stdout))

    def values(self, name: str, namespace: str) -> dict[str, Any]:
        """Return the values that a release was installed with.

        Raises:
            ToolFailed: The cluster did not answer, or has no such release.
        """
        result = self._runner.run([*self._base, "get", "values", name, "--namespace", namespace, "--output", "json"], timeout_s=LOOK_S, quiet=True)
        result.raise_on_failure(f"read the values of release {name}", rules=RULES)
        return json.loads(result.stdout) or {}

    def first_deployed(self, name: str, namespace: str) -> str:
        """Return when a release was first deployed, as Helm recorded it.

        Raises:
            ToolFailed: The cluster did not answer, or has no such release.
        """
        result = self._runner.run([*self._base, "history", name, "--namespace", namespace, "--output", "json"], timeout_s=LOOK_S, quiet=True)
        result.raise_on_failure(f"read the history of release {name}", rules=RULES)
        history = json.loads(result.stdout) or []
        return str(history[0]["updated"]) if history else ""

    def rollback(self, release: InstalledRelease) -> CommandResult:
        """Return a release, whose upgrade was killed, to its last deployed revision.

        Raises:
            ToolFailed: Helm could not.
        """
        words = [*self._base, "rollback", release.name, "--namespace", release.namespace, "--wait"]
        return self._runner.run(words, timeout_s=600, changes=True).raise_on_failure(f"roll back release {release.name}", rules=RULES)

    def uninstall(self, release: InstalledRelease) -> CommandResult:
        """Remove a release whose first installation was killed, so that it can be installed.

        Raises:
            ToolFailed: Helm could not.
        """
        words = [*self._base, "uninstall", release.name, "--namespace", release.namespace, "--wait", "--no-hooks"]
        return self._runner.run(words, timeout_s=600, changes=True).raise_on_failure(f"uninstall release {release.name}", rules=RULES)

    def chart_version(self, release: Release) -> str:
        """Return the version of the chart that the definition's source really serves.

        Raises:
            ToolFailed: The source does not serve that chart in that version.
        """
        chart = yaml.safe_load(self._show("chart", release).stdout)
        return str(chart.get("version", ""))

    def default_values(self, release: Release) -> dict[str, Any]:
        """Return a chart's own values.

        Raises:
            ToolFailed: The source does not serve that chart in that version.
        """
        return yaml.safe_load(self._show("values", release).stdout) or {}

    def _show(self, what: str, release: Release) -> CommandResult:
        words = ["helm", "show", what, *chart_words(release.source, release.chart), "--version", release.version]
        result = self._runner.run(words, timeout_s=CHART_S, quiet=True)
        return result.raise_on_failure(f"resolve chart {release.chart} {release.version} from {release.source.url}", rules=RULES)


def chart_words(source: ChartSource, chart: str) -> Sequence[str]:
    """Return how a chart of a source is named on Helm's command line."""
    if source.url.startswith("oci://"):
        reference = source.url if source.kind == "OCIRepository" else f"{source.url.rstrip('/')}/{chart}"
        return [reference, *(["--plain-http"] if source.plain_http else [])]
    return [chart, "--repo", source.url]


def parse_releases(text: str) -> list[InstalledRelease]:
    """Read `helm list --output json`."""
    return [
        InstalledRelease(
            name=row["name"],
            namespace=row["namespace"],
            chart=row["chart"],
            status=row["status"],
            revision=int(row["revision"]),
            updated=row["updated"],
        )
        for row in json.loads(text or "[]")
    ]
