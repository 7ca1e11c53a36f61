"""Finding value keys that a chart does not know: Helm ignores them without a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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


def unknown_keys(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> tuple[UnknownKey, ...]:
    """Return the keys of `values` that are not in the chart's own values.yaml.

    A map whose default is empty accepts any key, because charts write `{}` for what the operator fills in; so does a
    default of null. Lists are not looked into. `global` is for every chart.

    Args:
        values: The HelmRelease's `spec.values`.
        defaults: The chart's values.yaml.
    """
    return tuple(_unknown({key: value for key, value in values.items() if key != "global"}, defaults, ""))


def _unknown(values: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str) -> Iterator[UnknownKey]:
    for key, value in values.items():
        field = f"{prefix}{key}"
        if key not in defaults:
            near = did_you_mean(str(key), [str(known) for known in defaults])
            yield UnknownKey(field, f"{prefix}{near}" if near else "")
            continue
        default = defaults[key]
        if isinstance(value, dict) and isinstance(default, dict) and default:
            yield from _unknown(value, default, f"{field}.")
