"""A lab that is broken and mended: bring its cluster to a stage, run criteria under a fault, and judge what is said."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.simulated.faults import Faults
from lab.simulated.paths import LabPaths
from tests.faults.telling import FILE, PAUSE
from tests.rehearsal.conftest import CHECKOUT, Rehearsal
from tests.waiting import until

FACTOR = "0.02"
"""Budgets while something stays broken: there is nothing to wait for."""

RUN_S = 400.0

STAGES = ("fresh", "begun", "talos", "kubernetes", "secrets", "crds", "apps", "flux", "flux-health")
"""How far a bootstrap is: `fresh` is before it, `begun` is in the middle of Talos's stage, every other one is done."""

Breaking = Callable[["Bench"], AbstractContextManager[None]]


@dataclass(frozen=True)
class Said:
    """What a run said.

    Attributes:
        code: Its exit code.
        text: The terminal.
        criteria: Of the report, by id.
    """

    code: int
    text: str
    criteria: dict[str, dict[str, Any]]

    def hints(self, criterion: str) -> list[str]:
        """The hints of one criterion."""
        return [hint["id"] for hint in self.criteria[criterion]["hints"]]

    def verdict(self, criterion: str) -> str:
        """The verdict of one criterion."""
        return str(self.criteria[criterion]["verdict"])


@dataclass
class Bench:
    """One rehearsal that is broken again and again."""

    rehearsal: Rehearsal
    faults: Faults
    stage: str = "none"
    runs: int = field(default=0)

    @property
    def state(self) -> Path:
        """Where the lab is."""
        return self.rehearsal.state

    @property
    def tree(self) -> Path:
        """The lab's copy of the definition, which runs read."""
        return self.faults.paths.tree

    def at(self, stage: str) -> Bench:
        """Have the bootstrap exactly so far: go on to there, or begin anew when it is further already."""
        if self.stage == "none" or STAGES.index(self.stage) > STAGES.index(stage):
            self.anew()
        left = [
            each
            for each in STAGES[STAGES.index(self.stage) + 1 : STAGES.index(stage) + 1]
            if each != "begun"
        ]
        if left:
            said = self.run("--stage", ",".join(left))
            assert said.code == 0, said.text[-4000:]
            self.stage = stage
        return self

    def anew(self) -> Bench:
        """Begin anew, with machines that have never been bootstrapped."""
        for words in (("down",), ("up",)):
            done = self.rehearsal.lab(*words)
            assert done.returncode == 0, done.stdout + done.stderr
        self.stage = "fresh"
        return self

    def run(self, *words: str) -> Said:
        """Run the checklist to its end."""
        return self.ended(self.begin(*words))

    def begin(self, *words: str, pause: str = "") -> subprocess.Popen[str]:
        """Begin to run the checklist; what it tells is in a file of its own. It may be held at the first event that a pattern fits."""
        self.runs += 1
        for file in (self.told, self.goes_on):
            file.unlink(missing_ok=True)
        base = self.rehearsal.environment
        # The plugin is the tests' own, and the copy of the checkout has none of these.
        environment = {
            **base,
            "PYTHONPATH": f"{base['PYTHONPATH']}:{CHECKOUT}",
            FILE: str(self.told),
            PAUSE: pause,
        }
        command = [*self.rehearsal.pytest_command(*words), "-p", "tests.faults.telling"]
        return subprocess.Popen(
            command,
            cwd=self.rehearsal.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ended(self, process: subprocess.Popen[str]) -> Said:
        """Wait for a run to end, and read its report."""
        try:
            text, _ = process.communicate(timeout=RUN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            text, _ = process.communicate()
            raise AssertionError(f"the run does not end:\n{text[-3000:]}") from None
        criteria = (
            {criterion["id"]: criterion for criterion in self.rehearsal.report["criteria"]}
            if process.returncode != 4
            else {}
        )
        return Said(process.returncode, text, criteria)

    def wait_until_told(self, pattern: str, process: subprocess.Popen[str]) -> None:
        """Wait until the run has told of something that happened, in whatever event but those that say what will be looked at."""

        def told() -> bool:
            return any(re.search(pattern, line, re.IGNORECASE) for line in self._happened())

        until(lambda: told() or process.poll() is not None, within_s=RUN_S)
        if not told():
            process.kill()
            raise AssertionError(f"never told of {pattern}:\n{process.communicate()[0][-3000:]}")

    def _happened(self) -> list[str]:
        lines = self.told.read_text(encoding="utf-8").splitlines() if self.told.exists() else []
        return [line for line in lines if not line.startswith(("RunStarted ", "WaitStarted "))]

    @property
    def told(self) -> Path:
        """What the last run told, event by event."""
        return self.rehearsal.root.parent / "told"

    @property
    def goes_on(self) -> Path:
        """What lets a run that is held go on."""
        return self.told.with_name("told.go")

    def go_on(self) -> None:
        """Let a run that is held go on."""
        self.goes_on.touch()

    def kubectl(self, *words: str, text: str | None = None) -> str:
        """Change the cluster by hand."""
        done = self.rehearsal.tool("kubectl", *words, text=text)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@dataclass(frozen=True)
class Case:
    """One row of the failure catalogue, reproduced.

    Attributes:
        row: Its number.
        name: In a few words.
        breaking: What is broken, and how.
        only: Which criteria are run (`-k`).
        criterion: The one that has to name it.
        hint: The hint that has to be shown.
        says: What its error has to say.
        verdict: What it ends with.
        clears: For what passes by itself (R, W): once this was told, the fault is over, and the run has to pass.
        prepare: What is done once it is broken, before the first run.
        factor: The budgets while it is broken.
    """

    row: int
    name: str
    breaking: Breaking
    only: str
    criterion: str
    hint: str
    says: str
    verdict: str = "not ready in time"
    clears: str = ""
    prepare: Callable[[Bench], object] = lambda _: None
    factor: str = FACTOR

    def __str__(self) -> str:
        return f"{self.row:02}-{self.name}"


def check(bench: Bench, case: Case) -> None:
    """Run under the fault, which has to be named; then mend it, for what passes by itself while a second run waits, and see that run pass."""
    with case.breaking(bench):
        case.prepare(bench)
        said = bench.run("-k", case.only, "--budget-factor", case.factor)
        names_it(said, case)
        process = bench.begin("-k", case.only) if case.clears else None
        if process is not None:
            bench.wait_until_told(case.clears, process)
    said = bench.ended(process if process is not None else bench.begin("-k", case.only))

    assert said.code == 0, said.text[-4000:]
    assert said.verdict(case.criterion) in ("met", "already met")


def check_in_turn(bench: Bench, *cases: Case) -> None:
    """Meet several faults in one bootstrap, each before the one before it is over, and each of them named; then mend all, and see a run pass.

    A later fault takes back what an earlier one did to the same machine, as nothing may pass in between.
    """
    last = cases[-1]
    with ExitStack() as broken:
        for case in cases:
            broken.enter_context(case.breaking(bench))
            case.prepare(bench)
            names_it(bench.run("-k", case.only, "--budget-factor", case.factor), case)
        process = bench.begin("-k", last.only)
        bench.wait_until_told(last.clears, process)
    said = bench.ended(process)

    assert said.code == 0, said.text[-4000:]


def names_it(said: Said, case: Case) -> None:
    """See that a run ended as the case says, with the case's hint in the report and on the terminal."""
    assert said.code == 1, said.text[-4000:]
    error = said.criteria[case.criterion]["error"]
    assert said.verdict(case.criterion) == case.verdict, error
    assert case.says in error, error
    assert case.hint in said.hints(case.criterion), error
    assert f"{case.hint}:" in said.text
    assert "Traceback" not in said.text, said.text[max(0, said.text.index("Traceback") - 500) :][
        :4000
    ]


def bench_of(rehearsal: Rehearsal) -> Bench:
    """Return a bench for a rehearsal."""
    return Bench(
        rehearsal, Faults(LabPaths(cluster="infra", state=rehearsal.state, checkout=rehearsal.root))
    )
