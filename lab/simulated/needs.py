"""What every lab needs of this computer and this checkout."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from firstlight.errors import ToolMissing
from lab.simulated.paths import LabPaths


def require_tools(paths: LabPaths, names: Sequence[str]) -> None:
    """Make sure that set-up has brought these tools, and that git is there.

    Raises:
        ToolMissing: One is not there; the message says how to have it.
    """
    for name in names:
        if not (paths.tools / name).exists():
            raise ToolMissing(name, seen=f"not in {paths.tools}", next_step="./task tools:setup")
    if shutil.which("git") is None:
        raise ToolMissing("git", next_step="install git with the machine's package manager")
