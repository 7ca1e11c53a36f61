"""Run a tiny checklist in a process of its own.

The plugins and the definition are real; files take the place of machines, see `world`.
"""

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

from firstlight.checklist import Stage
from firstlight.target import run_lock
from tests.definitions import CHECKOUT
from tests.warm import RUN_S, run_pytest

CONFTEST = '''
"""The real plugins, on a target that lacks one capability and a clock that never waits."""

from dataclasses import replace

from firstlight.clock import SystemClock
from firstlight.checklist import Capability
from firstlight.target import open_nodes

pytest_plugins = (
    "fixtures.options",
    "fixtures.hooks",
    "fixtures.plan",
    "fixtures.report",
    "fixtures.display",
    "fixtures.cluster",
    "fixtures.actions",
)


class Hurried(SystemClock):
    """The machine's clock, except that sleeping only adds to it.

    A pause lets a cluster change, and here nothing changes during a pause.
    """

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
    import firstlight.run.engine
    from fixtures.stash import RUN

    firstlight.run.engine.open_nodes = without_datapath
    config.stash[RUN].clock = Hurried()
'''

HEAD = """
import pytest

from firstlight.checklist import AC1, AC2, AC3, AC4, AC5, AC6, AC7, Capability, Stage, criterion
from tests.bridge.world import *

STAGE = Stage("{stage}")
"""

WORDS = (
    *("bootstrap_tests", "--cluster", "infra", "--target", "nodes"),
    *("-p", "no:hypothesispytest"),
)


@dataclass
class Tiny:
    """A checkout with a checklist of a few lines."""

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
            number = name.split("_")[1]
            stage = next(stage for stage in Stage if stage.startswith(number))
            head = HEAD.format(stage=stage)
            (self.root / "bootstrap_tests" / name).write_text(head + text)

    @property
    def world(self) -> Path:
        """The folder in which actions create files."""
        return self.root / "world"

    @property
    def home(self) -> Path:
        """The operator's home folder."""
        return self.root / "home"

    @property
    def state(self) -> Path:
        """The folder of the journal."""
        return self.root / "state" / "firstlight" / "nodes" / "infra"

    @property
    def runbook(self) -> Path:
        """The file with the table of times."""
        return self.root / "docs" / "runbooks" / "bootstrap.md"

    @property
    def lock(self) -> Path:
        """The lock of the run."""
        return run_lock(self.state)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a run: the machine's, without its configuration."""
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PYTEST", "KUBE", "TALOS", "SOPS", "OP_", "FIRSTLIGHT"))
        }
        return {
            **kept,
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.root / "state"),
            "FIRSTLIGHT_TEST_WORLD": str(self.world),
            "PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT}",
        }

    def start(
        self,
        *words: str,
        within: Sequence[str] = (),
        stdin: int | None = None,
        stdout: int = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """Start a run, wrapped in another command if one is given."""
        return subprocess.Popen(
            [*within, sys.executable, "-m", "pytest", *WORDS, *words],
            cwd=self.root,
            env=self.environment,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str, within: Sequence[str] = ()) -> Result:
        """Run the checklist to its end."""
        if within:
            return self.finish(self.start(*words, within=within))
        done = run_pytest(*WORDS, *words, folder=self.root, environment=self.environment)
        return self.left(done.returncode, done.stdout)

    def finish(self, process: subprocess.Popen[str]) -> Result:
        """Wait for the end of a run, and return what it left."""
        try:
            output, _ = process.communicate(timeout=RUN_S)
        finally:
            process.kill()
        return self.left(process.returncode, output)

    def left(self, code: int, output: str) -> Result:
        """Return what a run left."""
        # A plan writes its own report next to that of the last run.
        written = sorted(
            self.root.glob("reports/infra-nodes*/report.json"),
            key=lambda path: path.stat().st_mtime_ns,
        )
        document = json.loads(written[-1].read_text())["extra"] if written else {}
        return Result(code, output, document, self.journal())

    def journal(self) -> list[dict[str, Any]]:
        """Return every line of the journal."""
        path = self.state / "journal.jsonl"
        return (
            [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
        )


@dataclass(frozen=True)
class Result:
    """What a run left: exit code, output, report and journal."""

    code: int
    output: str
    report: dict[str, Any]
    journal: list[dict[str, Any]]

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdict of each criterion, by ID."""
        return {
            criterion["id"]: criterion["verdict"] for criterion in self.report.get("criteria", ())
        }

    def criterion(self, name: str) -> dict[str, Any]:
        """Return what the report says about one criterion."""
        return next(criterion for criterion in self.report["criteria"] if criterion["id"] == name)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the journal's events of one kind."""
        return [line for line in self.journal if line["event"] == kind]
