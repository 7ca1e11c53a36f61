"""Names on one line, however many there are."""

from __future__ import annotations

from collections.abc import Iterable

NAMED_MAX = 8
"""A line names a whole cluster of the usual size, and the first few of three hundred machines."""


def several(names: Iterable[str]) -> str:
    """Return names in order, the first ones alone where there are many; `none` where there is none."""
    ordered = sorted(names)
    more = len(ordered) - NAMED_MAX
    return (
        ", ".join(ordered[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
        if ordered
        else "none"
    )
