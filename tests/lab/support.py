"""Helpers of the lab's tests: start real processes, and find programs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from firstlight.clock import SystemClock
from firstlight.process import CommandResult, run
from lab.simulated import services
from lab.simulated.paths import LabPaths
from lab.simulated.services import Service

ROOT = Path(__file__).resolve().parents[2]
CALL_S = 60.0

Call = Callable[..., CommandResult]


def search_path() -> str:
    """A PATH that includes the test environment's programs: sops is installed as a wheel."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def python_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a Python process that imports this checkout."""
    return {
        "PATH": search_path(),
        "HOME": os.devnull,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
        **(extra or {}),
    }


def start_service(paths: LabPaths, name: str, argv: Sequence[str], ready: Path) -> Service:
    """Start a process of the lab and wait until it is ready."""
    service = Service(name, tuple(argv), python_environment(), ready, "stamp", ())
    services.begin(paths, service, lambda _text: None)
    services.wait_until_ready(paths, service, SystemClock())
    return service


def git(*words: str | Path, env: Mapping[str, str] | None = None) -> CommandResult:
    """Run the real git without the user's settings."""
    identity = {
        f"GIT_{role}_{what}": "test@firstlight.invalid"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    settings = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }
    return run(["git", *words], timeout_s=CALL_S, env={**settings, **identity, **(env or {})})


def require(*tools: str) -> None:
    """Skip a test whose programs are not on PATH. The reason names them."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} on PATH")
