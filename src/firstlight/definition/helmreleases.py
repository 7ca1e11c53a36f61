"""The HelmReleases that Flux applies, and where their charts come from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from firstlight.definition.document import leaves
from firstlight.definition.model import ChartSource, Release
from firstlight.definition.shape import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from firstlight.definition.document import Document
    from firstlight.definition.findings import Findings
    from firstlight.definition.fluxtree import FluxTree

_EXACT_VERSION = re.compile(r"v?\d+\.\d+\.\d+([-+][0-9A-Za-z][0-9A-Za-z.+-]*)?")
_SUBSTITUTION = re.compile(r"\$\{[^}]*\}")
_SOURCE_KINDS = ["OCIRepository", "HelmRepository"]
_SCHEMES = {"OCIRepository": ("oci://",), "HelmRepository": ("https://", "http://", "oci://")}


def read_releases(tree: FluxTree, findings: Findings) -> dict[str, Release | None]:
    """Return the HelmReleases by name, nothing in the place of one that cannot be understood; what is wrong is noted."""
    return {
        found.mapping["metadata"]["name"]: _release(tree, found, findings)
        for found in tree.of_kind("HelmRelease")
    }


def _release(tree: FluxTree, found: Document, findings: Findings) -> Release | None:
    metadata, spec = found.mapping["metadata"], found.mapping.get("spec")
    if not isinstance(spec, dict):
        findings.add(
            found.path,
            "spec",
            None,
            rule="missing-field",
            message="the field is missing",
            fix="add `spec:`",
        )
        return None
    namespace = str(metadata.get("namespace", ""))
    _check_names(found, spec, findings)
    source, chart, version = _chart(tree, found, spec, namespace, findings)
    values = spec.get("values", {})
    if not isinstance(values, dict):
        findings.add(
            found.path,
            "spec.values",
            values,
            rule="wrong-type",
            message="the value must be a mapping",
            fix="write a mapping",
        )
        values = {}
    _check_substitution(found, values, findings)
    if source is None or not chart or not version:
        return None
    return Release(
        name=metadata["name"],
        namespace=namespace,
        chart=chart,
        version=version,
        source=source,
        values=values,
        path=found.path,
    )


def _check_names(found: Document, spec: Mapping[str, Any], findings: Findings) -> None:
    metadata = found.mapping["metadata"]
    name, namespace = metadata["name"], metadata.get("namespace", "")
    if spec.get("releaseName", name) != name:
        findings.add(
            found.path,
            "spec.releaseName",
            spec["releaseName"],
            rule="release-name-differs",
            message=f"the Helm release has another name than its HelmRelease ({name})",
            fix=f"write `releaseName: {name}`: one name in helmfile, Helm and Flux makes the hand-off find the release",
        )
    for key in ("targetNamespace", "storageNamespace"):
        if spec.get(key, namespace) != namespace:
            findings.add(
                found.path,
                f"spec.{key}",
                spec[key],
                rule="release-namespace-differs",
                message=f"it is not the HelmRelease's own namespace ({namespace}), so Flux would install a second release",
                fix=f"remove `{key}`, or move the HelmRelease to that namespace",
            )


def _chart(
    tree: FluxTree, found: Document, spec: Mapping[str, Any], namespace: str, findings: Findings
) -> tuple[ChartSource | None, str, str]:
    if isinstance(spec.get("chartRef"), dict):
        source, data = _source(tree, found, "spec.chartRef", spec["chartRef"], namespace, findings)
        if source is None or data is None:
            return None, "", ""
        ref = data.mapping["spec"].get("ref")
        tag = ref.get("tag") if isinstance(ref, dict) else None
        version = _version(data.path, "spec.ref.tag", tag, findings)
        return source, source.url.rstrip("/").rsplit("/", 1)[-1], version
    chart = spec.get("chart")
    chart_spec = chart.get("spec") if isinstance(chart, dict) else None
    if not isinstance(chart_spec, dict) or not isinstance(chart_spec.get("sourceRef"), dict):
        findings.add(
            found.path,
            "spec.chart",
            None,
            rule="release-without-source",
            message="the HelmRelease names no source for its chart",
            fix="add `chartRef: {kind: OCIRepository, name: ...}`, or `chart.spec` with chart, version and sourceRef",
        )
        return None, "", ""
    version = _version(found.path, "spec.chart.spec.version", chart_spec.get("version"), findings)
    source, _ = _source(
        tree, found, "spec.chart.spec.sourceRef", chart_spec["sourceRef"], namespace, findings
    )
    name = chart_spec.get("chart")
    if not isinstance(name, str):
        findings.add(
            found.path,
            "spec.chart.spec.chart",
            name,
            rule="missing-field",
            message="the chart has no name",
            fix="add `chart: <name>`",
        )
        name = ""
    return source, name, version


def _source(
    tree: FluxTree,
    found: Document,
    field: str,
    reference: Mapping[str, Any],
    namespace: str,
    findings: Findings,
) -> tuple[ChartSource | None, Document | None]:
    kind, name = str(reference.get("kind", "")), str(reference.get("name", ""))
    where = str(reference.get("namespace", namespace))
    if kind not in _SOURCE_KINDS:
        near = did_you_mean(kind, _SOURCE_KINDS)
        findings.add(
            found.path,
            f"{field}.kind",
            kind or None,
            rule="unknown-source-kind",
            message="helmfile can install charts from an OCIRepository or a HelmRepository only",
            fix=f"did you mean {near}?" if near else f"use {' or '.join(_SOURCE_KINDS)}",
        )
        return None, None
    source = tree.objects.get((kind, where, name))
    if source is None:
        others = [
            f"{of}/{there}/{called}" for of, there, called in tree.objects if of in _SOURCE_KINDS
        ]
        near = did_you_mean(f"{kind}/{where}/{name}", others)
        findings.add(
            found.path,
            field,
            f"{kind}/{where}/{name}",
            rule="source-missing",
            message="the source of the chart does not exist",
            fix=f"did you mean {near}?" if near else f"add a {kind} of that name",
        )
        return None, None
    spec = source.mapping.get("spec")
    url = spec.get("url") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(url, str) or not url.startswith(_SCHEMES[kind]):
        findings.add(
            source.path,
            "spec.url",
            url,
            rule="bad-source-url",
            message=f"the {kind} has no address that begins with {' or '.join(_SCHEMES[kind])}",
            fix=f"write it like {_SCHEMES[kind][0]}host/path",
        )
        return None, None
    plain_http = spec.get("insecure") is True or url.startswith("http://")
    return ChartSource(
        kind=kind, name=name, namespace=where, url=url, plain_http=plain_http
    ), source


def _version(path: Path, field: str, version: object, findings: Findings) -> str:
    if version is None:
        findings.add(
            path,
            field,
            None,
            rule="chart-version-missing",
            message="the chart has no version, so Flux would take the newest at any time",
            fix="write the exact version",
        )
        return ""
    if not isinstance(version, str) or not _EXACT_VERSION.fullmatch(version):
        findings.add(
            path,
            field,
            version,
            rule="chart-version-not-exact",
            message="this is no exact version, so helmfile and Flux could install different ones",
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
                message="Flux replaces this variable and helmfile does not, so the two would install different values",
                fix="write the value itself",
            )
