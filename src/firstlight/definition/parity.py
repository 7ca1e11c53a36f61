"""Compare a HelmRelease with what helmfile would install, and with the values its chart knows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from firstlight.definition.findings import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from firstlight.definition.model import Release

MISSING = "(nothing)"
"""Stands for a side without a value, which differs from `null`."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between helmfile and a HelmRelease.

    Attributes:
        release: The release.
        field: The dotted name of the field (`values.cluster.id`).
        helmfile: What helmfile would install.
        flux: What the HelmRelease says.
    """

    release: str
    field: str
    helmfile: object
    flux: object

    def __str__(self) -> str:
        ours, theirs = _written(self.helmfile), _written(self.flux)
        return f"{self.release}: {self.field}: helmfile has {ours}, the HelmRelease {theirs}"


def differences(
    release: Release, rendered: Mapping[str, Any], values: Mapping[str, Any]
) -> tuple[Difference, ...]:
    """Return every difference between helmfile and a HelmRelease; any of them shows at hand-off.

    Args:
        release: The HelmRelease.
        rendered: The release in `helmfile list --output json`: name, namespace, chart, version.
        values: The merged values that helmfile would install (`helmfile write-values`).
    """
    compared = [
        ("name", rendered.get("name", MISSING), release.name),
        ("namespace", rendered.get("namespace", MISSING), release.namespace),
        ("chart", _chart_name(rendered.get("chart")), release.chart),
        ("version", rendered.get("version", MISSING), release.version),
    ]
    found = [each for each in compared if each[1] != each[2]]
    found += _compare(values, release.values, "values")
    return tuple(Difference(release.name, field, seen, wanted) for field, seen, wanted in found)


def _compare(seen: Any, wanted: Any, field: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(seen, dict) and isinstance(wanted, dict):
        for key in sorted({*seen, *wanted}, key=str):
            yield from _compare(seen.get(key, MISSING), wanted.get(key, MISSING), f"{field}.{key}")
    elif isinstance(seen, list) and isinstance(wanted, list) and len(seen) == len(wanted):
        for index, (left, right) in enumerate(zip(seen, wanted, strict=True)):
            yield from _compare(left, right, f"{field}[{index}]")
    elif seen != wanted or isinstance(seen, bool) is not isinstance(wanted, bool):
        # In Python `True == 1`; a chart's template distinguishes them.
        yield field, seen, wanted


def _chart_name(chart: object) -> object:
    """Return a chart's name without the repository or registry that helmfile adds."""
    return chart.rstrip("/").rsplit("/", 1)[-1] if isinstance(chart, str) else MISSING


def _written(value: object) -> str:
    if value is MISSING:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """A key of a HelmRelease's values that is not in the chart's values.yaml.

    Attributes:
        field: The dotted name of the key (`cgroup.automount`).
        near: The closest known key of the same mapping; empty if none is close.
    """

    field: str
    near: str

    def __str__(self) -> str:
        hint = f"; did you mean {self.near}?" if self.near else ""
        return f"the chart has no value {self.field}{hint}"


def unknown_keys(values: Mapping[str, Any], chart_values: str) -> tuple[UnknownKey, ...]:
    """Return the keys of `values` that the chart does not know: Helm silently ignores them.

    A key counts as known if it has a default, or if it is commented out (`# config:`) in the block
    of its parent. A mapping whose default is empty or null accepts any key, because charts write
    `{}` for what the operator fills in. Lists are not compared. `global` is known to every chart.

    Args:
        values: The HelmRelease's `spec.values`.
        chart_values: The text of the chart's values.yaml.
    """
    root = yaml.compose(chart_values, yaml.SafeLoader)
    lines = chart_values.splitlines()
    known = _Block(
        root if isinstance(root, yaml.MappingNode) else None, lines, 0, len(lines), indent=""
    )
    compared = {key: value for key, value in values.items() if key != "global"}
    return tuple(_unknown(compared, known, ""))


@dataclass(frozen=True, slots=True)
class _Block:
    """A mapping of values.yaml and its lines.

    Attributes:
        node: The mapping, `None` if the file has none.
        lines: All lines of the file.
        first: The number of the mapping's first line.
        after: The number of the line after it; comments before that line belong to it.
        indent: Matches the indentation of comments with its keys; empty at the top level.
    """

    node: yaml.MappingNode | None
    lines: list[str]
    first: int
    after: int
    indent: str = r"\s*"

    @property
    def keys(self) -> list[str]:
        """The keys that have a default."""
        return [str(key.value) for key, _ in self.node.value] if self.node is not None else []

    def shows(self, key: str) -> bool:
        """Report whether a comment in the block shows the key."""
        pattern = re.compile(rf"{self.indent}#+\s*{re.escape(key)}:(\s|$)")
        return any(pattern.match(line) for line in self.lines[self.first : self.after])

    def child(self, key: str) -> _Block | None:
        """Return the block of a key, `None` if its default accepts any value."""
        entries = self.node.value if self.node is not None else []
        ends = [int(name.start_mark.line) for name, _ in entries[1:]] + [self.after]
        for (name, value), after in zip(entries, ends, strict=True):
            if name.value == key and isinstance(value, yaml.MappingNode) and value.value:
                return _Block(value, self.lines, int(name.start_mark.line), after)
        return None


def _unknown(values: Mapping[str, Any], known: _Block, prefix: str) -> Iterator[UnknownKey]:
    for key, value in values.items():
        field = f"{prefix}{key}"
        if key not in known.keys:
            if not known.shows(str(key)):
                near = did_you_mean(str(key), known.keys)
                yield UnknownKey(field, f"{prefix}{near}" if near else "")
            continue
        child = known.child(str(key))
        if isinstance(value, dict) and child is not None:
            yield from _unknown(value, child, f"{field}.")
