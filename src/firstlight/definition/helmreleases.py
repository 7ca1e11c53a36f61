"""Read the HelmReleases, and check that with them Flux can take over helmfile's releases."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from firstlight.definition.document import leaves, mapping_at, value_at
from firstlight.definition.findings import did_you_mean
from firstlight.definition.helmfile import ORDER
from firstlight.definition.model import ChartSource, Release

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from firstlight.definition.document import Document
    from firstlight.definition.findings import Findings
    from firstlight.definition.flux import FluxTree
    from firstlight.definition.helmfile import Helmfile, HelmfileRelease

_EXACT_VERSION = re.compile(r"v?\d+\.\d+\.\d+([-+][0-9A-Za-z][0-9A-Za-z.+-]*)?")
_SUBSTITUTION = re.compile(r"\$\{[^}]*\}")
_SCHEMES = {"OCIRepository": ("oci://",), "HelmRepository": ("https://", "http://", "oci://")}


def read_releases(tree: FluxTree, findings: Findings) -> dict[str, Release | None]:
    """Return the HelmReleases by name, `None` for each that is not valid, and add problems."""
    return {found.name: _release(tree, found, findings) for found in tree.of_kind("HelmRelease")}


def match_releases(
    helmfile: Helmfile, known: Mapping[str, Release | None], findings: Findings, *, complete: bool
) -> tuple[Release, ...]:
    """Return the releases in helmfile's order, and add a problem where Flux does not match.

    Args:
        helmfile: What helmfile installs.
        known: The HelmReleases by name.
        findings: Receives the problems.
        complete: Whether all of Flux's files could be read; otherwise a HelmRelease may only seem
            to be missing.
    """
    matched = []
    names = [entry.name for entry in helmfile.apps]
    for entry in helmfile.apps:
        release = known.get(entry.name)
        if entry.name not in known:
            # A required name is correct, so only another name in Flux can be the mistyped one.
            near = did_you_mean(
                entry.name,
                [other for other in known if entry.name not in ORDER or other not in ORDER],
            )
            # A mistyped required name was already reported as a missing release.
            if complete and (near not in ORDER or near in names):
                _add_unknown(entry, near, findings)
        elif release is None:
            # The HelmRelease is not valid, which was reported at its own file.
            continue
        elif release.namespace != entry.namespace:
            where = release.namespace or "no namespace"
            _add_namespace_differs(
                entry.path,
                f"{entry.field}.namespace",
                entry.namespace,
                message=f"{entry.name} is in {where} in {release.path}, so Flux would install it "
                "a second time",
                fix=f"write `namespace: {release.namespace}`, or move the HelmRelease"
                if release.namespace
                else "give the HelmRelease a namespace",
                findings=findings,
            )
        else:
            matched.append(release)
    return tuple(matched)


def _add_unknown(entry: HelmfileRelease, near: str, findings: Findings) -> None:
    findings.add(
        entry.path,
        f"{entry.field}.name",
        entry.name,
        rule="release-without-helmrelease",
        message="Flux has no HelmRelease with this name, so it would never take over the release",
        fix=f"did you mean {near}?" if near else "add its HelmRelease",
    )


def _release(tree: FluxTree, found: Document, findings: Findings) -> Release | None:
    spec = found.mapping.get("spec")
    if not isinstance(spec, dict):
        findings.missing_field(found.path, "spec", fix="add `spec:`")
        return None
    _check_names(found, spec, findings)
    source, chart, version = _chart(tree, found, spec, findings)
    values = spec.get("values", {})
    if not isinstance(values, dict):
        findings.wrong_type(
            found.path, "spec.values", values, kind="a mapping", fix="write a mapping"
        )
        values = {}
    _check_substitution(found, values, findings)
    if source is None or not chart or not version:
        return None
    return Release(
        name=found.name,
        namespace=found.namespace,
        chart=chart,
        version=version,
        source=source,
        values=values,
        path=found.path,
    )


def _check_names(found: Document, spec: Mapping[str, Any], findings: Findings) -> None:
    if spec.get("releaseName", found.name) != found.name:
        findings.add(
            found.path,
            "spec.releaseName",
            spec["releaseName"],
            rule="release-name-differs",
            message=f"the Helm release and its HelmRelease ({found.name}) have different names",
            fix=f"write `releaseName: {found.name}`: Flux finds helmfile's release by this name",
        )
    for key in ("targetNamespace", "storageNamespace"):
        if spec.get(key, found.namespace) != found.namespace:
            _add_namespace_differs(
                found.path,
                f"spec.{key}",
                spec[key],
                message=f"this is not the HelmRelease's own namespace ({found.namespace}), so "
                "Flux would install a second release",
                fix=f"remove `{key}`, or move the HelmRelease to that namespace",
                findings=findings,
            )


def _add_namespace_differs(
    path: Path, field: str, value: object, *, message: str, fix: str, findings: Findings
) -> None:
    findings.add(path, field, value, rule="release-namespace-differs", message=message, fix=fix)


def _chart(
    tree: FluxTree, found: Document, spec: Mapping[str, Any], findings: Findings
) -> tuple[ChartSource | None, str, str]:
    if isinstance(spec.get("chartRef"), dict):
        source, data = _source(tree, found, "spec.chartRef", spec["chartRef"], findings)
        if source is None or data is None:
            return None, "", ""
        tag = value_at(data.mapping, "spec", "ref", "tag")
        version = _version(data.path, "spec.ref.tag", tag, findings)
        return source, source.url.rstrip("/").rsplit("/", 1)[-1], version
    chart = mapping_at(spec, "chart", "spec")
    reference = chart.get("sourceRef")
    if not isinstance(reference, dict):
        findings.add(
            found.path,
            "spec.chart",
            None,
            rule="release-without-source",
            message="the HelmRelease does not name the source of its chart",
            fix="add `chartRef: {kind: OCIRepository, name: ...}`, or `chart.spec` with chart, "
            "version and sourceRef",
        )
        return None, "", ""
    version = _version(found.path, "spec.chart.spec.version", chart.get("version"), findings)
    source, _ = _source(tree, found, "spec.chart.spec.sourceRef", reference, findings)
    name = chart.get("chart")
    if isinstance(name, str):
        return source, name, version
    findings.missing_field(
        found.path,
        "spec.chart.spec.chart",
        message="the chart has no name",
        fix="add `chart: <name>`",
    )
    return source, "", version


def _source(
    tree: FluxTree, found: Document, field: str, reference: Mapping[str, Any], findings: Findings
) -> tuple[ChartSource | None, Document | None]:
    kind, name = str(reference.get("kind", "")), str(reference.get("name", ""))
    namespace = str(reference.get("namespace", found.namespace))
    if kind not in _SCHEMES:
        near = did_you_mean(kind, _SCHEMES)
        findings.add(
            found.path,
            f"{field}.kind",
            kind or None,
            rule="unknown-source-kind",
            message="helmfile can install charts only from an OCIRepository or a HelmRepository",
            fix=f"did you mean {near}?" if near else f"use {' or '.join(_SCHEMES)}",
        )
        return None, None
    source = tree.objects.get((kind, namespace, name))
    if source is None:
        others = ["/".join(identity) for identity in tree.objects if identity[0] in _SCHEMES]
        near = did_you_mean(f"{kind}/{namespace}/{name}", others)
        findings.add(
            found.path,
            field,
            f"{kind}/{namespace}/{name}",
            rule="source-missing",
            message="the source of the chart does not exist",
            fix=f"did you mean {near}?" if near else f"add a {kind} with this name",
        )
        return None, None
    url = value_at(source.mapping, "spec", "url")
    if not isinstance(url, str) or not url.startswith(_SCHEMES[kind]):
        findings.add(
            source.path,
            "spec.url",
            url,
            rule="bad-source-url",
            message=f"the URL of the {kind} must start with {' or '.join(_SCHEMES[kind])}",
            fix=f"write it like {_SCHEMES[kind][0]}host/path",
        )
        return None, None
    is_plain = value_at(source.mapping, "spec", "insecure") is True or url.startswith("http://")
    chart_source = ChartSource(
        kind=kind, name=name, namespace=namespace, url=url, plain_http=is_plain
    )
    return chart_source, source


def _version(path: Path, field: str, version: object, findings: Findings) -> str:
    if version is None:
        findings.add(
            path,
            field,
            None,
            rule="chart-version-missing",
            message="the chart has no version, so Flux would always use the newest one",
            fix="write the exact version",
        )
        return ""
    if not isinstance(version, str) or not _EXACT_VERSION.fullmatch(version):
        findings.add(
            path,
            field,
            version,
            rule="chart-version-not-exact",
            message="this is not an exact version, so helmfile and Flux may install different ones",
            fix="write the exact version, like 1.18.5",
        )
        return ""
    return version


def _check_substitution(found: Document, values: Mapping[str, Any], findings: Findings) -> None:
    for name, value in leaves(values, "spec.values"):
        if isinstance(value, str) and _SUBSTITUTION.search(value):
            findings.add(
                found.path,
                name,
                value,
                rule="substitution-in-values",
                message="Flux replaces this variable but helmfile does not, so the two would "
                "install different values",
                fix="write the value itself",
            )
