"""A separate rehearsal for each test module.

It has its own state, and a copy of the checkout on other loopback addresses.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]

FILES = (
    "bootstrap",
    "bootstrap_tests",
    "clusters",
    "conftest.py",
    "docs",
    "fixtures",
    "lab",
    "pyproject.toml",
    "src",
    "tools",
    ".sops.yaml",
    ".gitignore",
)
"""The parts of the checkout that a run needs. `.tools` is large and read-only, so it is linked."""

RUN_S = 600


@dataclass(frozen=True)
class Rehearsal:
    """A copy of the checkout whose infra cluster has addresses that nothing else uses."""

    root: Path
    state_home: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a run: its own state, without the machine's configuration."""
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("KUBE", "TALOS", "SOPS", "OP_", "FIRSTLIGHT"))
        }
        return {
            **kept,
            "XDG_STATE_HOME": str(self.state_home),
            "PYTHONPATH": f"{self.root / 'src'}:{self.root}",
        }

    @property
    def state(self) -> Path:
        """The lab's state folder."""
        return self.state_home / "firstlight" / "simulated" / "infra"

    @property
    def lab_description(self) -> dict[str, Any]:
        """The lab's description."""
        described: dict[str, Any] = json.loads((self.state / "lab.json").read_text())
        return described

    def pytest_command(self, *words: str) -> list[str]:
        """Return the command that runs the checklist."""
        return [sys.executable, "-m", "pytest", "bootstrap_tests", "--cluster", "infra", *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the checklist."""
        return subprocess.run(
            self.pytest_command(*words),
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )

    def lab(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of the lab's commands."""
        command = [
            sys.executable,
            "-m",
            "lab.simulated",
            words[0],
            "--cluster",
            "infra",
            *words[1:],
        ]
        return subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )

    def tool(self, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a tool by hand, as in the runbook, in the lab's environment."""
        environment = {**self.environment, **self.lab_description["environment"]}
        environment.pop("FIRSTLIGHT_LAB", None)
        return subprocess.run(
            words,
            cwd=self.root,
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @property
    def report(self) -> dict[str, Any]:
        """The report of the last run, without the CTRF part."""
        return self.report_in("infra-simulated")

    def report_in(self, folder: str) -> dict[str, Any]:
        """The report in a folder of `reports/`, without the CTRF part."""
        document = json.loads((self.root / "reports" / folder / "report.json").read_text())
        extra: dict[str, Any] = document["extra"]
        return extra

    def planned(self) -> dict[str, tuple[str, list[str]]]:
        """Verdict and reason lines of each criterion in the last plan."""
        return {
            one["id"]: (one["verdict"], one["reason"].splitlines())
            for one in self.report_in("infra-simulated-plan")["criteria"]
        }

    def verdicts(self) -> dict[str, str]:
        """The verdict of each criterion in the last run."""
        return {criterion["id"]: criterion["verdict"] for criterion in self.report["criteria"]}

    def criterion(self, name: str) -> dict[str, Any]:
        """The report of one criterion in the last run."""
        return next(criterion for criterion in self.report["criteria"] if criterion["id"] == name)


def copy_of_the_checkout(root: Path, network: int) -> None:
    """Copy what a run needs, and move the infra cluster to other addresses."""
    root.mkdir(parents=True)
    listed = subprocess.run(
        [
            "git",
            "-C",
            CHECKOUT,
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--",
            *FILES,
        ],
        capture_output=True,
        check=True,
        timeout=60,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, copy = CHECKOUT / name, root / name
        if not source.is_file():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        content = source.read_bytes()
        if name.startswith(("clusters/infra/", "bootstrap/infra/")):
            content = content.replace(b"10.25.11.", f"10.25.{network}.".encode())
        copy.write_bytes(content)
    (root / ".tools").symlink_to(CHECKOUT / ".tools")
    (root / ".venv").symlink_to(CHECKOUT / ".venv")
    git = ["git", "-C", str(root), "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for words in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        ["commit", "--quiet", "--message=copy"],
    ):
        subprocess.run([*git, *words], check=True, timeout=60)


def rehearsal_on(network: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """Create a rehearsal, and remove it afterwards."""
    base = tmp_path_factory.mktemp(f"rehearsal-{network}")
    copy_of_the_checkout(base / "checkout", network)
    made = Rehearsal(base / "checkout", base / "state")
    try:
        yield made
    finally:
        down = made.lab("down")
        assert down.returncode == 0, down.stdout + down.stderr
