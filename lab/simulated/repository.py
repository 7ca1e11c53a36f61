"""Git, with nothing of the operator's own settings."""

from __future__ import annotations

import os
from pathlib import Path

from firstlight.tools.process import CommandResult, run

_GIT_S = 60.0


def git(folder: Path, *words: str) -> CommandResult:
    """Run git on a repository, with nothing of the operator's own settings."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C.UTF-8",
    }
    for role in ("AUTHOR", "COMMITTER"):
        environment[f"GIT_{role}_NAME"] = "firstlight lab"
        environment[f"GIT_{role}_EMAIL"] = "lab@firstlight.invalid"
    # The checkout may belong to another user (a container's mount); it is only read.
    argv = [
        "git",
        "-c",
        "safe.directory=*",
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "gc.auto=0",
        "-C",
        str(folder),
        *words,
    ]
    return run(argv, timeout_s=_GIT_S, env=environment)
