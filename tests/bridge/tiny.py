"""A tiny checklist in a process of its own: the real plugins, a real definition, and a world of files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.definitions import CHECKOUT

CONFTEST = '''
"""The real plugins on a target that lacks one capability, on a clock that never waits."""

from dataclasses import replace

from firstlight.clock import SystemClock
from firstlight.target import Capability, open_nodes

pytest_plugins = ("fixtures.options", "fixtures.hooks", "fixtures.report", "fixtures.display", "fixtures.cluster", "fixtures.actions")


class Hurried(SystemClock):
    """Real time, in which sleeping takes none: a pause is for the world to change, and this one does not."""

    def __init__(self):
        self.slept = 0.0

    def monotonic(self):
        return super().monotonic() + self.slept

    def sleep(self, seconds):
        self.slept += seconds


def without_datapath(cluster, checkout):
    target = open_nodes(cluster, checkout)
    return replace(target, capabilities=target.capabilities - {Capability.DATAPATH})


def pytest_configure(config):
    import fixtures.run
    from fixtures.keys import RUN

    fixtures.run.open_nodes = without_datapath
    config.stash[RUN].clock = Hurried()
'''

HEAD = """
import pytest

from firstlight.target import Capability
from fixtures.criterion import criterion
from tests.bridge.world import *
"""

RUN_S = 240


@dataclass
class Tiny:
    """One checkout with a checklist of a few lines."""

    root: Path
    files: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("clusters", "bootstrap"):
            shutil.copytree(
                CHECKOUT / name, self.root / name, ignore=shutil.ignore_patterns("clusterconfig")
            )
        for name in (".sops.yaml", "pyproject.toml"):
            shutil.copy(CHECKOUT / name, self.root / name)
        (self.root / "conftest.py").write_text(CONFTEST)
        for folder in (self.root / "bootstrap_tests", self.world, self.home):
            folder.mkdir()
        for name, text in self.files.items():
            (self.root / "bootstrap_tests" / name).write_text(HEAD + text)

    @property
    def world(self) -> Path:
        """Where actions make files."""
        return self.root / "world"

    @property
    def home(self) -> Path:
        """The operator's home."""
        return self.root / "home"

    @property
    def state(self) -> Path:
        """Where journal and lock are."""
        return self.root / "state" / "firstlight" / "nodes" / "infra"

    def start(
        self,
        *words: str,
        within: Sequence[str] = (),
        stdin: int | None = None,
        stdout: int = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """Start a run, within another command if there is one."""
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PYTEST", "KUBE", "TALOS", "SOPS", "OP_", "FIRSTLIGHT"))
        }
        environment |= {
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.root / "state"),
            "FIRSTLIGHT_TEST_WORLD": str(self.world),
        }
        environment["PYTHONPATH"] = f"{CHECKOUT / 'src'}:{CHECKOUT}"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "bootstrap_tests",
            "--cluster",
            "infra",
            "--target",
            "nodes",
            "-p",
            "no:hypothesispytest",
            *words,
        ]
        return subprocess.Popen(
            [*within, *command],
            cwd=self.root,
            env=environment,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str, within: Sequence[str] = ()) -> Result:
        """Run to the end."""
        return self.finish(self.start(*words, within=within))

    def finish(self, process: subprocess.Popen[str]) -> Result:
        """Wait for the end of a run."""
        try:
            output, _ = process.communicate(timeout=RUN_S)
        finally:
            process.kill()
        # A plan writes beside the report of the last run.
        written = sorted(
            self.root.glob("reports/infra-nodes*/report.json"),
            key=lambda path: path.stat().st_mtime_ns,
        )
        document = json.loads(written[-1].read_text())["extra"] if written else {}
        return Result(process.returncode, output, document, self.journal())

    def journal(self) -> list[dict[str, Any]]:
        """Return every line of the journal."""
        path = self.state / "journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@dataclass(frozen=True)
class Result:
    """A run that ended."""

    code: int
    output: str
    report: dict[str, Any]
    journal: list[dict[str, Any]]

    @property
    def verdicts(self) -> dict[str, str]:
        """What became of each criterion."""
        return {
            criterion["id"]: criterion["verdict"] for criterion in self.report.get("criteria", ())
        }

    def criterion(self, name: str) -> dict[str, Any]:
        """Return the report of one criterion."""
        return next(criterion for criterion in self.report["criteria"] if criterion["id"] == name)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the journal's lines of one kind."""
        return [line for line in self.journal if line["event"] == kind]
