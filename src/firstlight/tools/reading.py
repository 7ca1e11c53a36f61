"""Read what a tool printed as JSON or YAML; what cannot be read is an error that never quotes it, as it may be secret."""

from __future__ import annotations

import json
from typing import Any

import yaml

from firstlight.errors import FirstlightError
from firstlight.failures import FailureClass

_NOT_YAML = (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""PyYAML says most of what is wrong in its own words, and a bad date, number or tag in Python's."""


class Unreadable(FirstlightError):
    """What a tool printed is not what it should be; whether it may be asked again is for its reader to say."""

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
    """Return what a JSON text says.

    Raises:
        Unreadable: It is no JSON, or not all of it; it was cut off, so the same question may have a whole answer.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(
            what, f"it is no JSON{_where(error)}", failure_class=FailureClass.RETRY
        ) from None


def read_yaml(
    text: str, what: str, *, failure_class: FailureClass = FailureClass.FATAL, next_step: str = ""
) -> Any:
    """Return what a YAML text says.

    Raises:
        Unreadable: It is no YAML.
    """
    try:
        return yaml.safe_load(text)
    except _NOT_YAML as error:
        raise Unreadable(
            what, f"it is no YAML{_where(error)}", failure_class=failure_class, next_step=next_step
        ) from None


def read_yaml_documents(
    text: str, what: str, *, failure_class: FailureClass = FailureClass.FATAL, next_step: str = ""
) -> list[Any]:
    """Return what each document of a YAML stream says.

    Raises:
        Unreadable: It is no YAML.
    """
    try:
        return list(yaml.safe_load_all(text))
    except _NOT_YAML as error:
        raise Unreadable(
            what, f"it is no YAML{_where(error)}", failure_class=failure_class, next_step=next_step
        ) from None


def _where(error: BaseException) -> str:
    """Say where reading ended, and nothing of what stood there."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f" from line {mark.line + 1}, column {mark.column + 1} on"
    line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
    return f" from line {line}, column {column} on" if line is not None else ""
