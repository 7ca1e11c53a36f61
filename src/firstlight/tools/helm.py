"""helm: the releases of a cluster, and the charts of a repository."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firstlight.definition.model import ChartSource, Release
from firstlight.process import CommandResult
from firstlight.tools.reading import Unreadable, read_json, read_yaml, read_yaml_documents
from firstlight.tools.runner import Runner

LOOK_S = 30.0
CHART_S = 60.0

MEND_S = 600.0
"""A rollback or uninstall waits for pods; Helm's own limit is five minutes."""

CRD = "CustomResourceDefinition"

_MANIFESTS = (
    "{{.Release.Manifest}}"
    '{{range .Release.Chart.CRDObjects}}\n---\n{{printf "%s" .File.Data}}{{end}}'
)
"""Everything that Helm installed: rendered templates, and the files of the chart's `crds/`."""

_SCHEMA = re.compile(r"^(?:spec|status):.*\n(?:(?:[ #].*)?\n)*", re.MULTILINE)
"""The part of a CRD without its name; parsing it takes seconds, because it has megabytes."""

_OTHER_SHAPE = (LookupError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True)
class InstalledRelease:
    """A release in Helm's own record in the cluster.

    Attributes:
        name: Its name.
        namespace: Its namespace.
        chart: Chart and version in one word, such as `cilium-1.18.5`.
        status: `deployed`, `failed`, `pending-install` and so on.
        revision: Its revision, counted from one.
        updated: The time of its last change.
    """

    name: str
    namespace: str
    chart: str
    status: str
    revision: int
    updated: str


class Helm:
    """Runs helm on one cluster."""

    def __init__(self, runner: Runner, kubeconfig: Path, context: str) -> None:
        self._runner = runner
        self._base = ["helm", "--kubeconfig", str(kubeconfig), "--kube-context", context]

    def releases(self) -> tuple[InstalledRelease, ...]:
        """List all releases in all states.

        Raises:
            ToolFailed: The cluster did not answer.
        """
        result = self._runner.run(
            [*self._base, "list", "--all-namespaces", "--all", "--output", "json"],
            timeout_s=LOOK_S,
            quiet=True,
        )
        result.raise_on_failure("list the Helm releases")
        return tuple(parse_releases(result.stdout))

    def values(self, name: str, namespace: str) -> dict[str, Any]:
        """Return the values of a release.

        Raises:
            ToolFailed: The cluster did not answer, or has no such release.
        """
        result = self._runner.run(
            [*self._base, "get", "values", name, "--namespace", namespace, "--output", "json"],
            timeout_s=LOOK_S,
            quiet=True,
        )
        result.raise_on_failure(f"read the values of release {name}")
        return parse_values(result.stdout)

    def first_deployed(self, name: str, namespace: str) -> datetime:
        """Return when a release was first deployed, from Helm's record.

        Raises:
            ToolFailed: The cluster did not answer, or has no such release.
            Unreadable: The record does not contain it.
        """
        result = self._runner.run(
            [*self._base, "status", name, "--namespace", namespace, "--output", "json"],
            timeout_s=LOOK_S,
            quiet=True,
        )
        result.raise_on_failure(f"read the record of release {name}")
        return parse_first_deployed(result.stdout)

    def crds(self, name: str, namespace: str) -> tuple[str, ...]:
        """Return the names of the CRDs that a release brought, from Helm's record of it.

        Raises:
            ToolFailed: The cluster did not answer, or has no such release.
            Unreadable: The record is not valid YAML.
        """
        result = self._runner.run(
            [
                *(*self._base, "get", "all", name, "--namespace", namespace),
                *("--template", _MANIFESTS),
            ],
            timeout_s=LOOK_S,
            quiet=True,
        )
        result.raise_on_failure(f"read the record of release {name}")
        return tuple(parse_crds(result.stdout))

    def last_good_revision(self, release: InstalledRelease) -> int | None:
        """Return the newest revision of a release that was ever deployed, or None.

        Raises:
            ToolFailed: The cluster did not answer, or has no such release.
        """
        words = [
            *self._base,
            "history",
            release.name,
            "--namespace",
            release.namespace,
            "--output",
            "json",
        ]
        result = self._runner.run(words, timeout_s=LOOK_S, quiet=True)
        return parse_last_good_revision(
            result.raise_on_failure(f"read the history of release {release.name}").stdout
        )

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
                chart=str(row["chart"]),
                status=str(row["status"]),
                revision=int(row["revision"]),
                updated=str(row["updated"]),
            )
            for row in rows or ()
        ]
    except _OTHER_SHAPE:
        raise Unreadable("the list of Helm releases", "it does not have Helm's format") from None


def parse_values(text: str) -> dict[str, Any]:
    """Read `helm get values --output json`, which is `null` for a release without values.

    Raises:
        Unreadable: The text is neither a mapping nor `null`.
    """
    values = read_json(text, "the values of a release") or {}
    if not isinstance(values, dict):
        raise Unreadable("the values of a release", "they are not a mapping")
    return values


def parse_first_deployed(text: str) -> datetime:
    """Read the time of the first deployment from `helm status --output json`.

    `helm history` keeps only the last few revisions.

    Raises:
        Unreadable: It is something else.
    """
    status = read_json(text, "the record of a release")
    try:
        return datetime.fromisoformat(str(status["info"]["first_deployed"])).astimezone(UTC)
    except _OTHER_SHAPE:
        raise Unreadable(
            "the record of a release", "it does not say when it was first deployed"
        ) from None


def parse_crds(text: str) -> list[str]:
    """Read the names of the CRDs in manifests.

    Raises:
        Unreadable: The head of one is not valid YAML, or has no name.
    """
    names = []
    for manifest in re.split(r"^---.*$", text, flags=re.MULTILINE):
        if CRD not in manifest:
            continue
        head = _SCHEMA.sub("", f"{manifest}\n")
        for found in read_yaml_documents(head, "the record of a release"):
            if not isinstance(found, dict) or found.get("kind") != CRD:
                continue
            metadata = found.get("metadata")
            if not isinstance(metadata, dict) or not metadata.get("name"):
                raise Unreadable("the record of a release", "it has a CRD without a name")
            names.append(str(metadata["name"]))
    return names


def parse_last_good_revision(text: str) -> int | None:
    """Read the newest revision that was ever deployed from `helm history --output json`, or None.

    Raises:
        Unreadable: It is something else.
    """
    history = read_json(text, "the history of a release") or []
    try:
        return max(
            (
                int(row["revision"])
                for row in history
                if row["status"] in ("deployed", "superseded")
            ),
            default=None,
        )
    except _OTHER_SHAPE:
        raise Unreadable("the history of a release", "it does not have Helm's format") from None
