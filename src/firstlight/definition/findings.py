"""The list in which every rule writes what it finds wrong, so that all of it is reported at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from firstlight.errors import DefinitionError, Problem

if TYPE_CHECKING:
    from pathlib import Path

_VALUE_LENGTH_MAX = 120
"""Longer values are cut: a message names the place, the file shows the rest."""

_LOOKS_OTHERWISE = re.compile(r"true|false|yes|no|on|off|null|~|[-+]?\d+(\.\d+)?|", re.IGNORECASE)


class Findings:
    """What is wrong so far, in the order in which it was found."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything found, without repetitions."""
        return tuple(dict.fromkeys(self._problems))

    @property
    def count(self) -> int:
        """How many were noted, repetitions included: it grows whenever something is wrong."""
        return len(self._problems)

    def add(
        self, path: Path, field: str, value: object, *, rule: str, message: str, fix: str
    ) -> None:
        """Note one problem; `None` as the value means that nothing was there."""
        seen = "" if value is None else _shortened(value)
        self._problems.append(
            Problem(path=path, field=field, value=seen, rule=rule, message=message, fix=fix)
        )

    def raise_if_any(self, name: str) -> None:
        """Raise everything found as one error.

        Raises:
            DefinitionError: At least one problem was noted.
        """
        if self._problems:
            raise DefinitionError(name, self.problems)


def _shortened(value: object) -> str:
    text = " ".join(_written(value).split())
    return text if len(text) <= _VALUE_LENGTH_MAX else f"{text[: _VALUE_LENGTH_MAX - 1]}…"


def _written(value: object) -> str:
    """Return a value as YAML writes it, because that is what the reader has to look for."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    # Text that looks like a flag or a number is text only in quotes, which is the point of the message.
    return (
        f'"{value}"' if isinstance(value, str) and _LOOKS_OTHERWISE.fullmatch(value) else str(value)
    )
