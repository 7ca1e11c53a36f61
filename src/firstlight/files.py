"""Write files atomically: with their full content and mode, or not at all."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path


def write_atomically(
    path: Path, content: str | bytes, *, mode: int | None = 0o600, durable: bool = True
) -> None:
    """Replace a file in one step, so that a crash leaves either the old content or the new.

    Args:
        path: The file; its folder is created if necessary, private if the file is.
        content: The new content; text is encoded as UTF-8.
        mode: The file's permissions from the first byte on, or None for those of the umask.
        durable: Whether the new content must survive a crash of the machine. A report that is
            rewritten for every criterion does without, because flushing takes time.

    Raises:
        OSError: The folder cannot be created or written to.
    """
    folder_mode = 0o700 if mode is not None and not mode & 0o077 else 0o777
    path.parent.mkdir(parents=True, exist_ok=True, mode=folder_mode)
    _sweep(path)
    # The process id tells the next writer whether this one is still alive.
    partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(partial, flags, 0o666 if mode is None else 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(content.encode() if isinstance(content, str) else content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _sweep(path: Path) -> None:
    """Remove what killed writers of this file left behind; it may hold a secret."""
    form = re.compile(rf"\.{re.escape(path.name)}\.(\d+)\.[a-z0-9_]+")
    for neighbour in path.parent.iterdir():
        found = form.fullmatch(neighbour.name)
        if found and not _is_alive(int(found.group(1))):
            with suppress(FileNotFoundError):
                neighbour.unlink()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
