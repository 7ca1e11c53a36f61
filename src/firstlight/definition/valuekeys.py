"""Finding value keys that a chart does not know: Helm ignores them without a word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from firstlight.definition.shape import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """A key of a HelmRelease's values that the chart's values.yaml does not have.

    Attributes:
        field: Where, in dotted form (`cgroup.automount`).
        near: The known key beside it that is nearest, empty if none is.
    """

    field: str
    near: str

    def __str__(self) -> str:
        hint = f"; did you mean {self.near}?" if self.near else ""
        return f"the chart knows no value {self.field}{hint}"


def unknown_keys(values: Mapping[str, Any], chart_values: str) -> tuple[UnknownKey, ...]:
    """Return the keys of `values` that the chart's own values.yaml neither has nor shows commented out.

    A map whose default is empty accepts any key, because charts write `{}` for what the operator fills in; so does a
    default of null. A key that is commented out (`# config:`) has no default and is known all the same, but only where
    it stands: within the block of its parent. Lists are not looked into. `global` is for every chart.

    Args:
        values: The HelmRelease's `spec.values`.
        chart_values: The chart's values.yaml, as it is written.
    """
    root = yaml.compose(chart_values, yaml.SafeLoader)
    lines = chart_values.splitlines()
    known = _Block(
        root if isinstance(root, yaml.MappingNode) else None, lines, 0, len(lines), indent=""
    )
    return tuple(
        _unknown({key: value for key, value in values.items() if key != "global"}, known, "")
    )


@dataclass(frozen=True, slots=True)
class _Block:
    """A mapping of values.yaml with the lines that it stands on.

    Attributes:
        node: The mapping, none when the file has none.
        lines: All lines of the file.
        first: The number of its first line.
        after: The number of the line after its last one; comments up to there belong to it.
    """

    node: yaml.MappingNode | None
    lines: list[str]
    first: int
    after: int
    indent: str = r"\s*"
    """How comments with keys of it are indented, as a pattern: those of the whole file are not."""

    @property
    def keys(self) -> list[str]:
        """The keys that have a default."""
        return [str(key.value) for key, _ in self.node.value] if self.node is not None else []

    def shows(self, key: str) -> bool:
        """Whether the key stands there in a comment."""
        pattern = re.compile(rf"{self.indent}#+\s*{re.escape(key)}:(\s|$)")
        return any(pattern.match(line) for line in self.lines[self.first : self.after])

    def child(self, key: str) -> _Block | None:
        """Return the block of a key whose default is a map with something in it; none where any value is right."""
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
