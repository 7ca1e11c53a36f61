"""Parity: whether helmfile would install exactly what the HelmRelease says, so that the hand-off changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from firstlight.definition.model import Release

MISSING = "(nothing)"
"""Stands for a side that has no value, which is something else than `null`."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One point in which the two sides differ.

    Attributes:
        release: The release.
        field: Where, in dotted form (`values.cluster.id`).
        helmfile: What helmfile would install.
        flux: What the HelmRelease says.
    """

    release: str
    field: str
    helmfile: object
    flux: object

    def __str__(self) -> str:
        return f"{self.release}: {self.field}: helmfile has {_written(self.helmfile)}, the HelmRelease {_written(self.flux)}"


def differences(
    release: Release, rendered: Mapping[str, Any], values: Mapping[str, Any]
) -> tuple[Difference, ...]:
    """Return every point in which helmfile and the HelmRelease differ, in the order of the fields' names.

    Args:
        release: What the HelmRelease says.
        rendered: The release as `helmfile list --output json` or `helmfile build` shows it: name, namespace, chart, version.
        values: The values that helmfile would install it with, merged (`helmfile write-values`).
    """
    found = [
        Difference(release.name, field, seen, wanted)
        for field, seen, wanted in (
            ("name", rendered.get("name", MISSING), release.name),
            ("namespace", rendered.get("namespace", MISSING), release.namespace),
            ("chart", _chart_name(rendered.get("chart")), release.chart),
            ("version", rendered.get("version", MISSING), release.version),
        )
        if seen != wanted
    ]
    found += [
        Difference(release.name, field, seen, wanted)
        for field, seen, wanted in _compare(values, release.values, "values")
    ]
    return tuple(found)


def _compare(seen: Any, wanted: Any, field: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(seen, dict) and isinstance(wanted, dict):
        for key in sorted({*seen, *wanted}, key=str):
            yield from _compare(seen.get(key, MISSING), wanted.get(key, MISSING), f"{field}.{key}")
    elif isinstance(seen, list) and isinstance(wanted, list) and len(seen) == len(wanted):
        for index, (left, right) in enumerate(zip(seen, wanted, strict=True)):
            yield from _compare(left, right, f"{field}[{index}]")
    elif seen != wanted or isinstance(seen, bool) is not isinstance(wanted, bool):
        # `True == 1` for Python, but a chart's template tells them apart.
        yield field, seen, wanted


def _chart_name(chart: object) -> object:
    """Return a chart's name without the repository or registry that helmfile puts before it."""
    return chart.rstrip("/").rsplit("/", 1)[-1] if isinstance(chart, str) else MISSING


def _written(value: object) -> str:
    if value is MISSING:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)
