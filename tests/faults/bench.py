"""A lab that is broken and repaired.

Bring its cluster to a stage, run criteria under a fault, and check what is reported.
"""

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
from tests.faults.event_log import FILE, PAUSE
from tests.rehearsals import CHECKOUT, Rehearsal
from tests.waiting import until

FACTOR = "0.02"
"""Factor for budgets while something stays broken: waiting is pointless."""

RUN_S = 400.0

STAGES = ("fresh", "begun", "talos", "kubernetes", "secrets", "crds", "apps", "flux", "flux-health")
"""How far a bootstrap is.

`fresh` is before it, `begun` is within Talos's stage; any other name is a completed stage.
"""

Breaking = Callable[["Bench"], AbstractContextManager[None]]


@dataclass(frozen=True)
class RunResult:
    """The outcome of a run.

    Attributes:
        code: Its exit code.
        text: The terminal output.
        criteria: The criteria of the report, by id.
    """

    code: int
    text: str
    criteria: dict[str, dict[str, Any]]

    def hints(self, criterion: str) -> list[str]:
        """Return the failure rows of one criterion."""
        return [hint["id"] for hint in self.criteria[criterion]["hints"]]

    def verdict(self, criterion: str) -> str:
        """Return the verdict of one criterion."""
        return str(self.criteria[criterion]["verdict"])


@dataclass
class Bench:
    """One rehearsal that is broken repeatedly."""

    rehearsal: Rehearsal
    faults: Faults
    stage: str = "none"
    runs: int = field(default=0)

    @property
    def state(self) -> Path:
        """The lab's state folder."""
        return self.rehearsal.state

    @property
    def tree(self) -> Path:
        """The lab's copy of the definition, which runs read."""
        return self.faults.paths.tree

    def at(self, stage: str) -> Bench:
        """Bring the bootstrap to exactly this stage: continue, or start over if it is further."""
        if self.stage == "none" or STAGES.index(self.stage) > STAGES.index(stage):
            self.start_over()
        left = [
            each
            for each in STAGES[STAGES.index(self.stage) + 1 : STAGES.index(stage) + 1]
            if each != "begun"
        ]
        if left:
            result = self.run("--stage", ",".join(left))
            assert result.code == 0, result.text[-4000:]
            self.stage = stage
        return self

    def start_over(self) -> Bench:
        """Start over with machines that have never been bootstrapped."""
        for words in (("down",), ("up",)):
            done = self.rehearsal.lab(*words)
            assert done.returncode == 0, done.stdout + done.stderr
        self.stage = "fresh"
        return self

    def run(self, *words: str) -> RunResult:
        """Run the checklist to its end."""
        return self.ended(self.begin(*words))

    def begin(self, *words: str, pause: str = "") -> subprocess.Popen[str]:
        """Start the checklist. Its events are written to `event_log`.

        The run pauses at the first event that matches `pause`.
        """
        self.runs += 1
        for file in (self.event_log, self.resume_file):
            file.unlink(missing_ok=True)
        base = self.rehearsal.environment
        # The plugin belongs to the tests, which are not in the copy of the checkout.
        environment = {
            **base,
            "PYTHONPATH": f"{base['PYTHONPATH']}:{CHECKOUT}",
            FILE: str(self.event_log),
            PAUSE: pause,
        }
        command = [*self.rehearsal.pytest_command(*words), "-p", "tests.faults.event_log"]
        return subprocess.Popen(
            command,
            cwd=self.rehearsal.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ended(self, process: subprocess.Popen[str]) -> RunResult:
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
        return RunResult(process.returncode, text, criteria)

    def wait_for_event(self, pattern: str, process: subprocess.Popen[str]) -> None:
        """Wait for an event that matches.

        Events that only announce what will be checked do not count.
        """

        def happened() -> bool:
            return any(re.search(pattern, line, re.IGNORECASE) for line in self._happened())

        until(lambda: happened() or process.poll() is not None, within_s=RUN_S)
        if not happened():
            process.kill()
            raise AssertionError(f"no event matched {pattern}:\n{process.communicate()[0][-3000:]}")

    def _happened(self) -> list[str]:
        lines = (
            self.event_log.read_text(encoding="utf-8").splitlines()
            if self.event_log.exists()
            else []
        )
        return [line for line in lines if not line.startswith(("RunStarted ", "WaitStarted "))]

    @property
    def event_log(self) -> Path:
        """The events of the last run."""
        return self.rehearsal.root.parent / "events"

    @property
    def resume_file(self) -> Path:
        """The file whose creation resumes a paused run."""
        return self.event_log.with_name("events.go")

    def resume(self) -> None:
        """Resume a paused run."""
        self.resume_file.touch()

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
        name: A few words.
        fault: What is broken, and how.
        selection: The criteria to run (`-k`).
        criterion: The criterion that must report the fault.
        hint: The failure row that must be shown.
        error: What its error must contain.
        verdict: Its verdict.
        repair_after: For faults that a run waits out: repair after this event; the run must then
            pass.
        prepare: What to do once it is broken, before the first run.
        factor: The budget factor while it is broken.
    """

    row: int
    name: str
    fault: Breaking
    selection: str
    criterion: str
    hint: str
    error: str
    verdict: str = "not ready in time"
    repair_after: str = ""
    prepare: Callable[[Bench], object] = lambda _: None
    factor: str = FACTOR

    def __str__(self) -> str:
        return f"{self.row:02}-{self.name}"


def check(bench: Bench, case: Case) -> None:
    """Run under the fault, which must be reported. Then repair it and see a run pass.

    A fault that a run waits out is repaired while that second run waits.
    """
    with case.fault(bench):
        case.prepare(bench)
        result = bench.run("-k", case.selection, "--budget-factor", case.factor)
        assert_reported(result, case)
        process = bench.begin("-k", case.selection) if case.repair_after else None
        if process is not None:
            bench.wait_for_event(case.repair_after, process)
    result = bench.ended(process if process is not None else bench.begin("-k", case.selection))

    assert result.code == 0, result.text[-4000:]
    assert result.verdict(case.criterion) in ("met", "already met")


def check_in_turn(bench: Bench, *cases: Case) -> None:
    """Meet several faults in one bootstrap, each reported before the previous one is repaired.

    Then repair all of them and see a run pass. A later fault also undoes what an earlier one did to
    the same machine, because nothing may pass in between.
    """
    last = cases[-1]
    with ExitStack() as broken:
        for case in cases:
            broken.enter_context(case.fault(bench))
            case.prepare(bench)
            assert_reported(bench.run("-k", case.selection, "--budget-factor", case.factor), case)
        process = bench.begin("-k", last.selection)
        bench.wait_for_event(last.repair_after, process)
    result = bench.ended(process)

    assert result.code == 0, result.text[-4000:]


def assert_reported(result: RunResult, case: Case) -> None:
    """Check verdict and error, and the failure row in the report and on the terminal."""
    assert result.code == 1, result.text[-4000:]
    error = result.criteria[case.criterion]["error"]
    assert result.verdict(case.criterion) == case.verdict, error
    assert case.error in error, error
    assert case.hint in result.hints(case.criterion), error
    assert f"{case.hint}:" in result.text
    assert "Traceback" not in result.text, result.text[
        max(0, result.text.index("Traceback") - 500) :
    ][:4000]


def bench_of(rehearsal: Rehearsal) -> Bench:
    """Return a bench for a rehearsal."""
    return Bench(
        rehearsal, Faults(LabPaths(cluster="infra", state=rehearsal.state, checkout=rehearsal.root))
    )
