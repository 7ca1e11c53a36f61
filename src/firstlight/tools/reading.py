"""Read JSON and YAML from tools; errors never quote the text, because it may be secret."""

from __future__ import annotations

import json
from typing import Any

import yaml

from firstlight.errors import FirstlightError
from firstlight.failures import FailureClass

_NOT_YAML = (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""PyYAML's own errors, and Python's for a bad date, number or tag."""


class Unreadable(FirstlightError):
    """The output of a tool cannot be read; the reader decides whether a retry may help."""

    def __init__(
        self,
        what: str,
        seen: str,
        *,
        failure_class: FailureClass = FailureClass.FATAL,
        next_step: str = "",
    ) -> None:
        super().__init__(f"cannot read {what}: {seen}", next_step=next_step)
        self.failure_class = failure_class


def read_json(text: str, what: str) -> Any:
    """Parse JSON.

    Raises:
        Unreadable: The text is not valid JSON. It may be cut off, so a retry may help.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(
            what, f"it is not valid JSON{_where(error)}", failure_class=FailureClass.RETRY
        ) from None


def read_yaml(
    text: str, what: str, *, failure_class: FailureClass = FailureClass.FATAL, next_step: str = ""
) -> Any:
    """Parse a YAML document.

    Raises:
        Unreadable: The text is not valid YAML.
    """
    try:
        return yaml.safe_load(text)
    except _NOT_YAML as error:
        raise Unreadable(
            what,
            f"it is not valid YAML{_where(error)}",
            failure_class=failure_class,
            next_step=next_step,
        ) from None


def read_yaml_documents(
    text: str, what: str, *, failure_class: FailureClass = FailureClass.FATAL, next_step: str = ""
) -> list[Any]:
    """Parse all documents of a YAML stream.

    Raises:
        Unreadable: The text is not valid YAML.
    """
    try:
        return list(yaml.safe_load_all(text))
    except _NOT_YAML as error:
        raise Unreadable(
            what,
            f"it is not valid YAML{_where(error)}",
            failure_class=failure_class,
            next_step=next_step,
        ) from None


def _where(error: BaseException) -> str:
    """Return where parsing stopped, without any of the text."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f" from line {mark.line + 1}, column {mark.column + 1} on"
    line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
    return f" from line {line}, column {column} on" if line is not None else ""
