"""Have mise bring a tool, where mise is installed and knows the tool."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError
from firstlight.process import run
from firstlight.toolbox.search import version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firstlight.toolbox.pins import Tool

_WHERE_S = 30.0
# A release download of some tens of megabytes; where there is none, mise says so much sooner.
_INSTALL_S = 300.0


def find_mise(path: str) -> Path | None:
    """Return the mise on PATH, or nothing."""
    found = shutil.which("mise", path=path)
    return Path(found) if found else None


def bring(
    tool: Tool, mise: Path, environ: Mapping[str, str], *, install: Callable[[str], None] | None
) -> tuple[Path | None, str]:
    """Return the program that mise has or brings, or nothing and the reason why not.

    A program that says another version than the pinned one is not taken, whatever mise calls it.
    """
    wanted = f"{tool.mise}@{tool.version}"
    try:
        where = run([str(mise), "where", wanted], timeout_s=_WHERE_S, env=environ)
        if not where.ok and install is not None:
            install(f"mise install {wanted}")
            installed = run(
                [str(mise), "install", "--yes", wanted], timeout_s=_INSTALL_S, env=environ
            )
            if not installed.ok:
                return None, f"mise cannot install {wanted}: {installed.tail(1)}"
            where = run([str(mise), "where", wanted], timeout_s=_WHERE_S, env=environ)
    except FirstlightError as error:
        return None, error.summary
    if not where.ok:
        return None, f"mise does not have {wanted}"
    program = _program(Path(where.stdout.strip()), tool.name)
    if program is None:
        return None, f"mise has {wanted} without a program called {tool.name}"
    version = version_of(program, tool)
    if version != tool.version:
        return None, f"what mise brought as {wanted} says version {version or 'nothing'}"
    return program, ""


def _program(folder: Path, name: str) -> Path | None:
    """Find the program in an installation: at its top or one folder down, such as bin, as archives have it."""
    if not folder.is_dir():
        return None
    for candidate in (folder / name, *sorted(folder.glob(f"*/{name}"))):
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    return None
