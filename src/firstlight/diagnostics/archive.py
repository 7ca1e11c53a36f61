"""The archive: texts within a limit of size, whole or not at all, for its owner alone."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from firstlight.files import write_atomically

PIECE_BYTES_MAX = 512 * 1024
TOTAL_BYTES_MAX = 8 * 1024 * 1024
KEPT = 5
"""Archives that are kept beside the report; the oldest go first."""

PATTERN = "diagnostics-*.tar.gz"


def cut(text: str, limit: int = PIECE_BYTES_MAX) -> str:
    """Return a text whose middle is left out where it is too long: what came first and what came last say most."""
    content = text.encode(errors="replace")
    if len(content) <= limit:
        return text
    head, tail = limit // 4, limit - limit // 4
    left_out = len(content) - head - tail
    return f"{content[:head].decode(errors='ignore')}\n... {left_out} bytes are left out here ...\n{content[-tail:].decode(errors='ignore')}"


def write_archive(path: Path, texts: Mapping[str, str], *, at_s: float) -> int:
    """Write texts into an archive, remove the oldest archives beside it, and return its size.

    Raises:
        OSError: There is no room, or no right to write.
    """
    buffer = io.BytesIO()
    folder = path.name.removesuffix(".tar.gz")
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in texts.items():
            content = text.encode(errors="replace")
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o600, at_s
            archive.addfile(entry, io.BytesIO(content))
    write_atomically(path, buffer.getvalue())
    for old in sorted(path.parent.glob(PATTERN))[:-KEPT]:
        with suppress(OSError):
            old.unlink()
    return len(buffer.getbuffer())
