"""Show each tool, its version, where it comes from and what was seen on PATH that is not it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firstlight.toolbox.resolve import Resolved

_HEAD = ("TOOL", "VERSION", "FROM", "PATH")


def table(resolved: Iterable[Resolved]) -> str:
    """Return the table as text; paths are never cut, because they are there to be copied."""
    entries = sorted(resolved, key=lambda entry: entry.tool.name)
    rows = [_HEAD, *((e.tool.name, e.tool.version, e.origin.value, str(e.path)) for e in entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    remarks = [f"  {entry.tool.name}: {remark}" for entry in entries for remark in entry.remarks]
    return "\n".join([*lines, *(["", "Seen and not used:", *remarks] if remarks else [])])
