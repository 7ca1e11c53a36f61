"""Run pytest in a process that is forked from one that has imported the libraries already.

Importing them takes most of the time of a short run.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.libraries"])

RUN_S = 240


def run_pytest(
    *words: str, folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `python -m pytest` in a folder to its end; the output includes the errors."""
    with TemporaryDirectory() as place:
        output = Path(place) / "output"
        process = CONTEXT.Process(target=_run, args=(words, folder, dict(environment), output))
        process.start()
        process.join(timeout=RUN_S)
        process.kill()
        process.join()
        said = output.read_text(encoding="utf-8")
    assert process.exitcode is not None
    return subprocess.CompletedProcess(words, process.exitcode, said, "")


def _run(words: tuple[str, ...], folder: Path, environment: dict[str, str], output: Path) -> None:
    with output.open("wb") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    imported = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [str(folder), *filter(None, imported)]
    sys.argv = ["pytest", *words]
    raise SystemExit(pytest.console_main())
