"""A rehearsal under test.

Start it, end it, start it again with the same command, and check the cluster.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from firstlight.events import Verdict
from tests.chaos.moments import PLUGIN, PROGRESS, Instant
from tests.chaos.terminations import Termination, command, marked, terminate
from tests.rehearsals import CHECKOUT, Rehearsal, copy_of_the_checkout

RUN_S = 1200.0
"""A whole rehearsal takes 70 s on a quiet machine.

Even under heavy load, ten times that suffices.
"""

ENDING_S = 90.0
"""A run that has not ended after this time hangs. Slow endings are judged separately."""

POLL_S = 0.01

CLOCKS_APART_S = 0.5
"""A run that ignores a signal continues for longer than this."""

COMPLETE = (Verdict.MET, Verdict.ALREADY_MET, Verdict.NOT_VERIFIABLE)
"""The verdicts that every criterion must have at the end."""

KNOWN = (".gitignore", ".generated.json")
"""Hidden files that belong beside secrets."""


HUNG = 124
"""The exit code that stands for a run that did not end by itself."""

STOP = threading.Event()
"""Set when the campaign is to end, so that benches in other threads clean up."""


class Stopped(Exception):
    """The campaign is ending."""


@dataclass(frozen=True)
class RunResult:
    """A run that ended, for any reason."""

    code: int
    output: str
    seconds: float
    ending_s: float = 0.0
    """Time from the signal to the end."""
    missed: bool = False
    """Whether the run was over before the signal."""
    skipped: bool = False
    """Whether its action turned out not to be needed.

    Then it did not end at a boundary of that action.
    """
    reached: bool = True
    """Whether the criterion began from which the time is counted."""
    where: tuple[str, str] = ("start", "")
    """Stage and criterion in which it ended, as far as it reported them."""


@dataclass
class Bench:
    """One rehearsal, and what is known about its bootstrap independently of its report.

    Attributes:
        first_begun: The time of the journal's first action, when it was first seen on disk.
        run_s: A run that takes longer hangs.
    """

    rehearsal: Rehearsal
    words: tuple[str, ...] = ()
    first_begun: datetime | None = None
    runs: int = 0
    run_s: float = RUN_S

    @property
    def state(self) -> Path:
        """The folder of journal, lock and call log."""
        return self.rehearsal.state

    @property
    def progress(self) -> Path:
        """The file to which the plugin writes when each criterion begins."""
        return self.rehearsal.root.parent / "progress"

    def start(self, extra: Mapping[str, str] | None = None) -> tuple[subprocess.Popen[bytes], Path]:
        """Start a run in its own process group, as a shell does.

        Its output goes to a file, which survives the run.
        """
        self.runs += 1
        self.progress.write_text("")
        output = self.rehearsal.root.parent / f"run-{self.runs:03}.log"
        with output.open("wb") as stream:
            process = subprocess.Popen(
                self.rehearsal.pytest_command(*self.words),
                cwd=self.rehearsal.root,
                env={
                    **self.rehearsal.environment,
                    "PYTHONPATH": f"{self.rehearsal.environment['PYTHONPATH']}:{CHECKOUT}",
                    **(extra or {}),
                },
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        return process, output

    def finish(self) -> RunResult:
        """Run the command to its end, unmodified, as an operator does."""
        started = time.monotonic()
        process, output = self.start()
        code = self.wait(process, self.run_s)
        self._note_first_action()
        return RunResult(code, output.read_text(errors="replace"), time.monotonic() - started)

    def run_until(self, instant: Instant) -> RunResult:
        """Run the command until it ends itself at a named moment."""
        started = time.monotonic()
        process, output = self.start({**instant.environment(), PROGRESS: str(self.progress)})
        code = self.wait(process, self.run_s)
        self._note_first_action()
        progress = self.progress.read_text().splitlines()
        signalled = [float(line.split()[0]) for line in progress if line.endswith(" interrupted")]
        ending_s = time.time() - signalled[0] if signalled else 0.0
        skipped = any(line.endswith(" skipped") for line in progress)
        return RunResult(
            code,
            output.read_text(errors="replace"),
            time.monotonic() - started,
            ending_s,
            not signalled,
            skipped,
            where=_where(progress),
        )

    def run_until_after(
        self, criterion: str, later_s: float, termination: Termination
    ) -> RunResult:
        """Run the command, and end it from outside some time after a criterion began.

        An empty criterion counts from the start of the run.
        """
        started = time.monotonic()
        process, output = self.start({**PLUGIN, PROGRESS: str(self.progress)})
        self._watch(process, self.run_s, until=lambda: not criterion or self._began(criterion))
        reached = not criterion or self._began(criterion)
        if reached:
            self._watch(process, later_s)
        signalled, signalled_at = time.monotonic(), time.time()
        missed = not reached or process.poll() is not None
        if not missed:
            terminate(process.pid, termination, str(self.state))
        # A run that never reached the criterion has used up its time.
        code = self.wait(process, ENDING_S if reached else 0)
        self._note_first_action()
        now = time.monotonic()
        # Nothing survives SIGKILL. Only a run that gets its signal after its last criterion ends
        # normally.
        missed = missed or (
            code == 0 and self._was_over(signalled_at)
            if termination.is_graceful
            else code not in (-signal.SIGKILL, HUNG)
        )
        where = _where(self.progress.read_text().splitlines())
        return RunResult(
            code,
            output.read_text(errors="replace"),
            now - started,
            now - signalled,
            missed,
            reached=reached,
            where=where,
        )

    def problems(self) -> list[str]:
        """Return everything that is wrong after the command ended successfully."""
        return [
            *self.unmet(),
            *_bootstrapped_once(self.state),
            *self._releases(),
            *self.leftover_processes(),
            *self._counted_from_the_first_action(),
            *self._leftover_files(),
        ]

    def unmet(self) -> list[str]:
        """Return every criterion that the last report shows as neither met nor not verifiable."""
        # A run of a part of the checklist says nothing about the rest.
        verdicts = {
            name: verdict
            for name, verdict in self.rehearsal.verdicts().items()
            if verdict is not None or not self.words
        }
        return [
            f"{name} is {verdict}" for name, verdict in verdicts.items() if verdict not in COMPLETE
        ] or ([] if verdicts else ["no criteria"])

    def journal(self) -> list[dict[str, Any]]:
        """Return the complete lines of the journal."""
        path = self.state / "journal.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def down(self) -> None:
        """Remove the lab."""
        done = self.rehearsal.lab("down")
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)

    def wait(self, process: subprocess.Popen[bytes], longest_s: float) -> int:
        """Return the exit code of a run. A run that hangs is ended and reported as HUNG."""
        self._watch(process, longest_s)
        code = process.poll()
        if code is not None:
            return code
        self._end(process)
        return HUNG

    def _watch(
        self,
        process: subprocess.Popen[bytes],
        longest_s: float,
        until: Callable[[], bool] = lambda: False,
    ) -> None:
        """Wait until a run has ended, a condition is true, or time is up.

        Raises:
            Stopped: The campaign is ending, and the run was ended.
        """
        deadline = time.monotonic() + longest_s
        while process.poll() is None and time.monotonic() < deadline and not until():
            if STOP.wait(POLL_S):
                self._end(process)
                raise Stopped

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        terminate(process.pid, Termination.KILL_ALL, str(self.state))
        process.wait(timeout=10)

    def _began(self, criterion: str) -> bool:
        return any(
            line.endswith(f" {criterion}") for line in self.progress.read_text().splitlines()
        )

    def _was_over(self, at: float) -> bool:
        """Report whether the last run was over at that time.

        The journal's clock may differ by some milliseconds.
        """
        last = self.journal()[-1:]
        return any(
            line["event"] == "RunEnded"
            and datetime.fromisoformat(line["at"]).timestamp() < at + CLOCKS_APART_S
            for line in last
        )

    def _note_first_action(self) -> None:
        if self.first_begun is None:
            self.first_begun = next(
                (
                    datetime.fromisoformat(line["at"])
                    for line in self.journal()
                    if line["event"] == "ActionBegun"
                ),
                None,
            )

    def _releases(self) -> list[str]:
        listed = self.rehearsal.tool(
            "helm", "list", "--all-namespaces", "--all", "--output", "json"
        )
        if listed.returncode:
            return [f"helm cannot list releases: {listed.stderr.strip()}"]
        rows = json.loads(listed.stdout)
        return [
            f"release {row['name']} is {row['status']}"
            for row in rows
            if row["status"] != "deployed"
        ] or ([] if rows else ["no releases"])

    def leftover_processes(self) -> list[str]:
        return [
            f"process {pid} is still running: {command(pid)[:80]}"
            for pid in marked(str(self.state))
        ]

    def _counted_from_the_first_action(self) -> list[str]:
        head = self.rehearsal.report["head"]
        ended = [line for line in self.journal() if line["event"] == "RunEnded"][-1]
        counted = (
            datetime.fromisoformat(ended["first_action_at"]) if ended["first_action_at"] else None
        )
        if (
            counted is None
            or self.first_begun is None
            or abs((counted - self.first_begun).total_seconds()) > 1
        ):
            return [f"time counts from {counted}, the first action began at {self.first_begun}"]
        verified_s = ended["verified_after_s"]
        last_met = max(
            datetime.fromisoformat(line["at"])
            for line in self.journal()
            if line["event"] == "CriterionEnded"
        )
        if self.words:
            # A part of the checklist cannot verify the whole.
            return []
        if (
            verified_s is None
            or verified_s > (last_met - self.first_begun).total_seconds() + 1
            or head["state"] == "interrupted"
        ):
            passed_s = (last_met - self.first_begun).total_seconds()
            return [f"verified after {verified_s} s, but at most {passed_s:.0f} s passed"]
        return []

    def _leftover_files(self) -> list[str]:
        """Return what killed runs left in their temporary folder and beside secrets."""
        places = (
            self.state / "home" / ".kube",
            *self.state.glob("tree/clusters/*/talos/clusterconfig"),
        )
        found = [
            path
            for place in places
            if place.is_dir()
            for path in place.iterdir()
            if path.name.startswith(".") and path.name not in KNOWN
        ]
        if (temporary := self.state / "tmp").exists():
            found.append(temporary)
        return [f"{path} was left behind" for path in found]


def _where(progress: list[str]) -> tuple[str, str]:
    named = [line.split() for line in progress if not line.endswith((" interrupted", " skipped"))]
    return (named[-1][1], named[-1][2]) if named else ("start", "")


def _bootstrapped_once(state: Path) -> list[str]:
    calls = [json.loads(line) for line in (state / "talos-calls.jsonl").read_text().splitlines()]
    accepted = [
        call for call in calls if call["method"].endswith("/Bootstrap") and call["code"] == "OK"
    ]
    return (
        []
        if len(accepted) == 1
        else [f"the machines accepted Bootstrap {len(accepted)} times: {accepted}"]
    )


@contextmanager
def bench_on(network: int, folder: Path, *words: str) -> Iterator[Bench]:
    """Create a bench on its own loopback network, and remove it afterwards."""
    copy_of_the_checkout(folder / "checkout", network)
    bench = Bench(Rehearsal(folder / "checkout", folder / "state"), words)
    try:
        yield bench
    finally:
        bench.down()
