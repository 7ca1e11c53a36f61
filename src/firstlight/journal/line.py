"""One line of the journal, sealed: a checksum of itself and of every line before it, so that no damage goes unseen.

A disk that lost a block, an editor, a half-restored backup: the first line whose seal does not fit is where trust ends.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SEALED = re.compile(rb'(\{.*), "seal": "([0-9a-f]{8})"\}', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A line whose seal fits."""

    data: dict[str, Any]
    seal: int


@dataclass(frozen=True, slots=True)
class Read:
    """What a file holds.

    Attributes:
        lines: Every line up to the first whose seal does not fit.
        size: How many bytes these are.
        damage: Why reading stopped before the end, empty when it did not.
        torn: How many bytes follow the last line without an end of their own: they were being written when their run was killed.
    """

    lines: tuple[Sealed, ...]
    size: int
    damage: str
    torn: int


def seal(data: Mapping[str, Any], before: int) -> tuple[bytes, int]:
    """Return a line with its end, and its seal, from the seal of the line before it (0 for the first)."""
    body = json.dumps(data)[:-1].encode()
    value = zlib.crc32(body, before)
    return body + b', "seal": "%08x"}\n' % value, value


def sealed_lines(content: bytes) -> Read:
    """Read lines as far as they can be trusted."""
    lines: list[Sealed] = []
    size = 0
    while (end := content.find(b"\n", size)) >= 0:
        line = _open(content[size:end], lines[-1].seal if lines else 0)
        if line is None:
            return Read(tuple(lines), size, f"line {len(lines) + 1} is not as it was written", 0)
        lines.append(line)
        size = end + 1
    return Read(tuple(lines), size, "", len(content) - size)


def _open(line: bytes, before: int) -> Sealed | None:
    found = _SEALED.fullmatch(line)
    if found is None or zlib.crc32(found.group(1), before) != int(found.group(2), 16):
        return None
    try:
        data = json.loads(found.group(1) + b"}")
    except ValueError:
        return None
    return Sealed(data, int(found.group(2), 16)) if isinstance(data, dict) else None
