"""Look for a tool on PATH and ask it for its version: only the pinned one counts, a wrong one is named."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.errors import FirstlightError
from firstlight.process import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firstlight.toolbox.paths import Places
    from firstlight.toolbox.pins import Tool

# A tool that cannot say its version within this time is not one to rely on.
_ASK_S = 20.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A program of the right name and the version that it says it has, empty if it says none."""

    path: Path
    version: str


def candidates(tool: Tool, places: Places, path: str) -> Iterator[Candidate]:
    """Yield every program of that name on PATH, in its order, with its version."""
    if not tool.ask:
        return
    ours = {places.bin.resolve(), places.venv_bin.resolve()}
    seen = set()
    for entry in path.split(os.pathsep):
        folder = Path(entry)
        # A version manager's shim is not a program: what it starts depends on the folder it is started in.
        if not folder.is_absolute() or folder.resolve() in ours or folder.name == "shims":
            continue
        program = folder / tool.name
        if program.is_file() and os.access(program, os.X_OK) and program.resolve() not in seen:
            seen.add(program.resolve())
            yield Candidate(program, version_of(program, tool))


def version_of(program: Path, tool: Tool) -> str:
    """Ask the program for its version; what it cannot say comes back empty."""
    try:
        outcome = run([str(program), *tool.ask], timeout_s=_ASK_S)
    except FirstlightError:
        return ""
    answer = re.search(tool.answer, outcome.stdout + outcome.stderr)
    return answer.group(1).removeprefix("v") if outcome.ok and answer else ""
