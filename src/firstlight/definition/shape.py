"""Checking that data has only known keys, each with a value of the right type."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from firstlight.definition.findings import Findings

_PYTHON_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "text": str,
    "a whole number": int,
    "true or false": bool,
    "a mapping": dict,
    "a list": list,
    "anything": object,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value must look like.

    Attributes:
        kind: The kind of value, in words that finish "must be ...".
        fields: For a mapping, its known keys; empty means that any key goes.
        item: For a list, what each entry must look like; for a mapping without known keys, each value.
        required: Whether the key must be there.
    """

    kind: str
    fields: Mapping[str, Shape] = field(default_factory=dict)
    item: Shape | None = None
    required: bool = False


ANYTHING = Shape("anything")
TEXT = Shape("text")
NUMBER = Shape("a whole number")
FLAG = Shape("true or false")
REQUIRED_TEXT = Shape("text", required=True)
TEXTS = Shape("a list", item=TEXT)
TEXT_MAP = Shape("a mapping", item=TEXT)


def mapping(fields: Mapping[str, Shape], *, required: bool = False) -> Shape:
    """Return the shape of a mapping with these keys and no others."""
    return Shape("a mapping", fields=fields, required=required)


def list_of(item: Shape, *, required: bool = False) -> Shape:
    """Return the shape of a list whose entries all look the same."""
    return Shape("a list", item=item, required=required)


def check(path: Path, data: Any, shape: Shape, findings: Findings, name: str = "") -> bool:
    """Note every unknown or missing key and every wrong type; return whether all is well."""
    if not _is_kind(data, shape.kind):
        findings.add(
            path,
            name,
            _seen(data),
            rule="wrong-type",
            message=f"the value must be {shape.kind}",
            fix=_type_fix(data, shape.kind),
        )
        return False
    if isinstance(data, dict) and shape.fields:
        return _check_fields(path, data, shape, findings, name)
    if isinstance(data, dict) and shape.item:
        return _check_items(
            path, {_join(name, key): value for key, value in data.items()}, shape.item, findings
        )
    if isinstance(data, list) and shape.item:
        return _check_items(
            path,
            {f"{name}[{index}]": value for index, value in enumerate(data)},
            shape.item,
            findings,
        )
    return True


def did_you_mean(word: str, known: Mapping[str, Any] | list[str]) -> str:
    """Return the known word that is nearest to a mistyped one, empty if none is near."""
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    near = get_close_matches(word.lower(), list(by_lower_case), n=1, cutoff=0.6)
    return by_lower_case[near[0]] if near else ""


def _check_items(path: Path, items: Mapping[str, Any], shape: Shape, findings: Findings) -> bool:
    # Every item is looked at, also after the first that is wrong.
    verdicts = [check(path, value, shape, findings, name) for name, value in items.items()]
    return all(verdicts)


def _check_fields(
    path: Path, data: Mapping[str, Any], shape: Shape, findings: Findings, name: str
) -> bool:
    well = True
    for key, value in data.items():
        if key not in shape.fields:
            _note_unknown(path, key, value, shape, findings, name)
            well = False
        else:
            well &= check(path, value, shape.fields[key], findings, _join(name, key))
    # A mistyped key was noted above with the key that is meant: that one is not also missing.
    meant = {did_you_mean(key, shape.fields) for key in data if key not in shape.fields}
    for key, wanted in shape.fields.items():
        if wanted.required and key not in data and key not in meant:
            findings.add(
                path,
                _join(name, key),
                None,
                rule="missing-field",
                message="the field is missing",
                fix=f"add `{key}:` ({wanted.kind})",
            )
            well = False
    return well


def _note_unknown(
    path: Path, key: str, value: Any, shape: Shape, findings: Findings, name: str
) -> None:
    near = did_you_mean(key, shape.fields)
    fix = (
        f"did you mean `{near}`?" if near else f"known keys here: {', '.join(sorted(shape.fields))}"
    )
    findings.add(
        path,
        _join(name, key),
        _seen(value),
        rule="unknown-key",
        message=f"the key `{key}` is unknown",
        fix=fix,
    )


def _is_kind(data: Any, kind: str) -> bool:
    if isinstance(data, bool):
        # A flag is an int for Python, but not for the reader of the file.
        return kind in {"true or false", "anything"}
    return isinstance(data, _PYTHON_TYPES[kind])


def _type_fix(data: Any, kind: str) -> str:
    if kind == "text" and not isinstance(data, (dict, list)):
        return "put it in quotes" if data is not None else "write a value"
    if kind == "true or false" and isinstance(data, str):
        return "write true or false, without quotes"
    if kind == "a whole number" and isinstance(data, str):
        return "write the number without quotes"
    return f"write {kind}"


def _seen(data: Any) -> object:
    # An empty value is something else than no field at all.
    return "nothing" if data is None else data


def _join(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key
