"""Write files whole or not at all, with their mode from the first byte on."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, content: str | bytes, *, mode: int = 0o600) -> None:
    """Replace a file so that a reader sees the old content or the new, never half, even after a crash.

    Raises:
        OSError: The folder cannot be made or written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    sweep(path)
    # Named after its writer, so that whoever writes next knows whether it is still being written.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.{os.getpid()}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def sweep(path: Path) -> None:
    """Remove what writers of this file left behind when they were killed: what it holds may be a secret."""
    form = re.compile(rf"\.{re.escape(path.name)}\.(\d+)\.[a-z0-9_]+")
    for neighbour in path.parent.iterdir():
        found = form.fullmatch(neighbour.name)
        if found and not _lives(int(found.group(1))):
            with suppress(FileNotFoundError):
                neighbour.unlink()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
