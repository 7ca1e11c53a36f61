"""helm: repairs the releases of a cluster, and reads the charts of a repository."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from firstlight.definition.model import ChartSource, Release
from firstlight.process import CommandResult
from firstlight.tools.helm_records import InstalledRelease
from firstlight.tools.reading import Unreadable, read_json, read_yaml
from firstlight.tools.runner import Runner

CHART_S = 60.0

MEND_S = 600.0
"""A rollback or uninstall waits for pods; Helm's own limit is five minutes."""

_OTHER_SHAPE = (LookupError, TypeError, ValueError, AttributeError)


class Helm:
    """Runs helm on one cluster."""

    def __init__(self, runner: Runner, kubeconfig: Path, context: str) -> None:
        self._runner = runner
        self._base = ["helm", "--kubeconfig", str(kubeconfig), "--kube-context", context]

    def rollback_command(self, release: InstalledRelease, revision: int) -> list[str]:
        """Return the argument list that rolls a release back to a revision."""
        return [
            *self._base,
            "rollback",
            release.name,
            str(revision),
            "--namespace",
            release.namespace,
            "--wait",
        ]

    def uninstall_command(self, release: InstalledRelease) -> list[str]:
        """Return the argument list that uninstalls a release."""
        return [
            *self._base,
            "uninstall",
            release.name,
            "--namespace",
            release.namespace,
            "--wait",
            "--no-hooks",
        ]

    def rollback(self, release: InstalledRelease, revision: int) -> CommandResult:
        """Roll back a release whose upgrade was killed.

        Raises:
            ToolFailed: The rollback failed.
        """
        return self._runner.run(
            self.rollback_command(release, revision), timeout_s=MEND_S, changes=True
        ).raise_on_failure(f"roll back release {release.name}")

    def uninstall(self, release: InstalledRelease) -> CommandResult:
        """Uninstall a release whose first installation was killed, so that it can be installed.

        Raises:
            ToolFailed: The uninstall failed.
        """
        return self._runner.run(
            self.uninstall_command(release), timeout_s=MEND_S, changes=True
        ).raise_on_failure(f"uninstall release {release.name}")

    def chart_version(self, release: Release) -> str:
        """Return the version of the chart that its source serves.

        Raises:
            ToolFailed: The source does not serve that version of the chart.
        """
        chart = read_yaml(self._show("chart", release).stdout, f"chart {release.chart}")
        return str(chart.get("version", "")) if isinstance(chart, dict) else ""

    def default_values(self, release: Release) -> str:
        """Return the text of a chart's values.yaml, including comments.

        Raises:
            ToolFailed: The source does not serve that version of the chart.
            Unreadable: It is not valid YAML.
        """
        text = self._show("values", release).stdout
        read_yaml(text, f"the values of chart {release.chart}")
        return text

    def _show(self, what: str, release: Release) -> CommandResult:
        words = [
            "helm",
            "show",
            what,
            *chart_words(release.source, release.chart),
            "--version",
            release.version,
        ]
        result = self._runner.run(words, timeout_s=CHART_S, quiet=True)
        return result.raise_on_failure(
            f"resolve chart {release.chart} {release.version} from {release.source.url}",
            row="FL-212",
        )


def chart_words(source: ChartSource, chart: str) -> Sequence[str]:
    """Return the words that name a chart on Helm's command line."""
    if source.url.startswith("oci://"):
        reference = (
            source.url if source.kind == "OCIRepository" else f"{source.url.rstrip('/')}/{chart}"
        )
        return [reference, *(["--plain-http"] if source.plain_http else [])]
    return [chart, "--repo", source.url]


def local_chart_version(folder: Path) -> str:
    """Return the version of a chart in a folder, empty if there is no chart.

    Raises:
        Unreadable: Its Chart.yaml is not valid YAML.
    """
    path = folder / "Chart.yaml"
    chart = read_yaml(path.read_text(), f"{folder.name}/Chart.yaml") if path.is_file() else None
    return str(chart.get("version", "")) if isinstance(chart, dict) else ""


def parse_releases(text: str) -> list[InstalledRelease]:
    """Read `helm list --output json`.

    Raises:
        Unreadable: It is something else. A list that is cut off must not hide a release.
    """
    rows = read_json(text, "the list of Helm releases")
    try:
        return [
            InstalledRelease(
                name=str(row["name"]),
                namespace=str(row["namespace"]),
                status=str(row["status"]),
                revision=int(row["revision"]),
            )
            for row in rows or ()
        ]
    except _OTHER_SHAPE:
        raise Unreadable("the list of Helm releases", "it does not have Helm's format") from None
