"""Collect everything that is wrong with a definition, so that one load reports all of it."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from firstlight.errors import DefinitionError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_VALUE_LENGTH_MAX = 120
"""Longer values are cut: the message locates the value, the file shows the rest."""

_NEEDS_QUOTES = re.compile(r"true|false|yes|no|on|off|null|~|[-+]?\d+(\.\d+)?|", re.IGNORECASE)


class Findings:
    """The problems found so far, in the order in which they were found."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every problem, without repetitions."""
        return tuple(dict.fromkeys(self._problems))

    @property
    def count(self) -> int:
        """How many problems were added, repetitions included: compare it to detect new ones."""
        return len(self._problems)

    def add(
        self, path: Path, field: str, value: object, *, rule: str, message: str, fix: str
    ) -> None:
        """Add one problem.

        Args:
            path: The file, relative to the root of the definition.
            field: The dotted name of the field; empty for the whole file.
            value: The value found there; `None` if there is no value.
            rule: The stable name of the broken rule.
            message: What is wrong.
            fix: What to write instead.
        """
        seen = "" if value is None else _shortened(value)
        self._problems.append(
            Problem(path=path, field=field, value=seen, rule=rule, message=message, fix=fix)
        )

    def missing_file(
        self,
        path: Path,
        *,
        fix: str,
        field: str = "",
        value: object = None,
        message: str = "the file is missing",
    ) -> None:
        """Add a file that is required, or that a field of another file names."""
        self.add(path, field, value, rule="missing-file", message=message, fix=fix)

    def missing_field(
        self, path: Path, field: str, *, fix: str, message: str = "the field is missing"
    ) -> None:
        """Add a required field that is missing."""
        self.add(path, field, None, rule="missing-field", message=message, fix=fix)

    def wrong_type(self, path: Path, field: str, value: object, *, kind: str, fix: str) -> None:
        """Add a value that is not of the required kind ("a list")."""
        message = f"the value must be {kind}"
        self.add(path, field, value, rule="wrong-type", message=message, fix=fix)

    def raise_if_any(self, name: str) -> None:
        """Raise every problem as one error.

        Raises:
            DefinitionError: At least one problem was added.
        """
        if self._problems:
            raise DefinitionError(name, self.problems)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the known word closest to a mistyped one, or an empty string if none is close."""
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    near = get_close_matches(word.lower(), list(by_lower_case), n=1, cutoff=0.6)
    return by_lower_case[near[0]] if near else ""


def _shortened(value: object) -> str:
    text = " ".join(_written(value).split())
    return text if len(text) <= _VALUE_LENGTH_MAX else f"{text[: _VALUE_LENGTH_MAX - 1]}…"


def _written(value: object) -> str:
    """Return a value as YAML writes it, because that is what the reader searches for."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    # Quotes show that a text such as "9000" is text, which is usually the mistake.
    return f'"{value}"' if isinstance(value, str) and _NEEDS_QUOTES.fullmatch(value) else str(value)
