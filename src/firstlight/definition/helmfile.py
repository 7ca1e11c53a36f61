"""Read what helmfile installs before Flux, and check its two phases, their order and templates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from firstlight.definition import document
from firstlight.definition.findings import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from firstlight.definition.findings import Findings

ORDER = ("cilium", "coredns", "spegel", "cert-manager", "flux")
"""The required order: pods need the CNI, names need DNS, and Flux takes over at the end."""

CRD_RELEASES = ("gateway-api-crds", "cilium-crds", "cert-manager-crds")
"""The required releases of CRDs, each named like its chart: the checklist waits for their CRDs."""

_CRDS = "00-crds.yaml"
_APPS = "01-apps.yaml"
_PARTS = ("helmfile.d", "templates")

# helmfile resolves these names relative to the file in helmfile.d/ that is being run.
_TEMPLATE = re.compile(r"\.\./(templates/[\w./-]+\.(?:yaml|gotmpl))")


@dataclass(frozen=True, slots=True)
class HelmfileRelease:
    """One entry under `releases:`.

    Attributes:
        name: The release's name.
        namespace: The release's namespace.
        needs: The releases that must be installed first, as `namespace/name`.
        chart: The chart as written, with a word for each template action; may be empty.
        field: Its dotted name in the file.
        path: The file.
    """

    name: str
    namespace: str
    needs: tuple[str, ...]
    chart: str
    field: str
    path: Path

    @property
    def identity(self) -> str:
        """The release as `needs` refers to it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Helmfile:
    """The releases of the two phases, in the order of the files."""

    crds: tuple[HelmfileRelease, ...]
    apps: tuple[HelmfileRelease, ...]


def read_helmfile(root: Path, folder: Path, findings: Findings) -> Helmfile:
    """Return the releases of a bootstrap folder, and add problems."""
    _check_phases(root, folder / "helmfile.yaml", findings)
    crds_path = folder / "helmfile.d" / _CRDS
    crds = _read(root, crds_path, findings)
    if crds is not None:
        _check_complete(crds_path, crds, CRD_RELEASES, findings)
        _check_charts(crds_path, crds, findings)
    apps_path = folder / "helmfile.d" / _APPS
    apps = _read(root, apps_path, findings)
    if apps is not None:
        _check_complete(apps_path, apps, ORDER, findings)
        _check_needs(apps_path, apps, findings)
        _check_order(apps_path, apps, findings)
    _check_templates(root, folder, findings)
    return Helmfile(crds or (), apps or ())


def _check_phases(root: Path, path: Path, findings: Findings) -> None:
    names = []
    known = findings.count
    for entry in _entries(root, path, "helmfiles", findings):
        part = entry.get("path", "") if isinstance(entry, dict) else entry
        names.append(PurePosixPath(str(part)).name)
    if findings.count > known and not names:
        # The file is missing or broken, which was reported.
        return
    for name in (_CRDS, _APPS):
        if name not in names:
            findings.add(
                path,
                "helmfiles",
                None,
                rule="phase-missing",
                message=f"helmfile.d/{name} is not listed",
                fix=f"add `- path: helmfile.d/{name}`",
            )
    if _CRDS in names and _APPS in names and names.index(_CRDS) > names.index(_APPS):
        findings.add(
            path,
            "helmfiles",
            ", ".join(names),
            rule="crds-not-first",
            message="the CRDs come after the applications, whose custom resources need them",
            fix=f"list helmfile.d/{_CRDS} first",
        )


def _entries(root: Path, path: Path, key: str, findings: Findings) -> list[Any]:
    text = document.read_text(root, path, findings)
    if text is None:
        return []
    # helmfile accepts Go templates everywhere; what we need must be readable without rendering.
    documents = document.parse_documents(path, document.without_templates(text), findings)
    return [entry for found in documents for entry in document.list_at(found.mapping, key)]


def _read(root: Path, path: Path, findings: Findings) -> tuple[HelmfileRelease, ...] | None:
    known = findings.count
    entries = _entries(root, path, "releases", findings)
    if findings.count > known:
        return None
    if not entries:
        findings.add(
            path,
            "releases",
            None,
            rule="no-releases",
            message="the file lists no releases",
            fix="write `releases:` as plain YAML, outside of template actions",
        )
        return None
    releases = [
        _release(path, f"releases[{index}]", entry, findings) for index, entry in enumerate(entries)
    ]
    readable = tuple(release for release in releases if release is not None)
    # With a release missing, the order of the others would be reported as wrong too.
    return readable if len(readable) == len(releases) else None


def _release(path: Path, field: str, entry: object, findings: Findings) -> HelmfileRelease | None:
    data: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
    for key in ("name", "namespace"):
        value = data.get(key)
        if not isinstance(value, str) or document.TEMPLATE_WORD in value:
            findings.add(
                path,
                f"{field}.{key}",
                "a template" if isinstance(value, str) else value,
                rule="release-unreadable",
                message=f"the release's {key} is not plain text",
                fix=f"write `{key}:` as plain text, without a template",
            )
            return None
    needs = data.get("needs", [])
    if not isinstance(needs, list) or not all(isinstance(need, str) for need in needs):
        kind = "a list of namespace/name"
        fix = "write it as a list, like `- kube-system/cilium`"
        findings.wrong_type(path, f"{field}.needs", needs, kind=kind, fix=fix)
        # Use what was meant, so that the order is not reported as wrong too.
        needs = [needs] if isinstance(needs, str) else []
    chart = data.get("chart")
    return HelmfileRelease(
        data["name"],
        data["namespace"],
        tuple(needs),
        chart if isinstance(chart, str) else "",
        field,
        path,
    )


def _check_complete(
    path: Path,
    releases: tuple[HelmfileRelease, ...],
    required: tuple[str, ...],
    findings: Findings,
) -> None:
    names = [release.name for release in releases]
    for name in required:
        if name not in names:
            near = did_you_mean(name, [other for other in names if other not in required])
            before = _predecessor(name, required)
            place = f"after {before}" if before else "as the first"
            findings.add(
                path,
                "releases",
                near or None,
                rule="release-missing",
                message=f"the release {name} is missing",
                fix=f"rename {near} to {name}" if near else f"add it {place}",
            )


def _check_charts(path: Path, crds: tuple[HelmfileRelease, ...], findings: Findings) -> None:
    for release in crds:
        chart = release.chart.rpartition("/")[2]
        # Setup assembles these charts; one from a repository may have any name.
        is_local = release.chart.startswith((".", "/", document.TEMPLATE_WORD))
        if release.name not in CRD_RELEASES or document.TEMPLATE_WORD in chart:
            continue
        if not release.chart or (is_local and chart != release.name):
            findings.add(
                path,
                f"{release.field}.chart",
                chart or None,
                rule="crds-chart-differs",
                message=f"this is not the chart that setup assembles for {release.name}",
                fix=f"write the folder of the charts and then /{release.name}",
            )


def _check_needs(path: Path, apps: tuple[HelmfileRelease, ...], findings: Findings) -> None:
    identities = sorted({release.identity for release in apps})
    for release in apps:
        for index, need in enumerate(release.needs):
            if need not in identities:
                name = need.rsplit("/", 1)[-1]
                namesakes = [each for each in identities if each.endswith(f"/{name}")]
                near = did_you_mean(need, namesakes or identities)
                findings.add(
                    path,
                    f"{release.field}.needs[{index}]",
                    need,
                    rule="unknown-need",
                    message=f"{release.name} needs a release that is not in the file",
                    fix=f"did you mean {near}?"
                    if near
                    else "write namespace/name of a release above",
                )


def _check_order(path: Path, apps: tuple[HelmfileRelease, ...], findings: Findings) -> None:
    by_name = {release.name: release for release in apps}
    for name in ORDER[1:]:
        release, before = by_name.get(name), by_name.get(_predecessor(name))
        if release is None or before is None:
            continue
        if before.identity not in _all_needs(release, apps):
            findings.add(
                path,
                f"{release.field}.needs",
                ", ".join(release.needs) or None,
                rule="release-order",
                message=f"{name} does not wait for {before.name}; the order is {' → '.join(ORDER)}",
                fix=f"add `- {before.identity}` to its `needs`",
            )
        elif apps.index(release) < apps.index(before):
            findings.add(
                path,
                release.field,
                name,
                rule="release-order",
                message=f"{name} is listed before {before.name}, which it waits for",
                fix=f"move it below {before.name}, so that the file lists releases in the order "
                "of installation",
            )


def _all_needs(release: HelmfileRelease, apps: tuple[HelmfileRelease, ...]) -> set[str]:
    by_identity = {other.identity: other for other in apps}
    needs: set[str] = set()
    waiting = list(release.needs)
    while waiting:
        need = waiting.pop()
        if need not in needs:
            needs.add(need)
            waiting += by_identity[need].needs if need in by_identity else ()
    return needs


def _predecessor(name: str, order: tuple[str, ...] = ORDER) -> str:
    place = order.index(name)
    return order[place - 1] if place else ""


def _check_templates(root: Path, folder: Path, findings: Findings) -> None:
    for part in _PARTS:
        for file in sorted((root / folder / part).glob("*.*")):
            path = file.relative_to(root)
            text = document.read_text(root, path, findings) or ""
            for name in dict.fromkeys(_TEMPLATE.findall(text)):
                if not (root / folder / name).is_file():
                    findings.missing_file(
                        path,
                        value=f"../{name}",
                        message=f"the template {folder / name} does not exist",
                        fix="create the file, or correct the name",
                    )
