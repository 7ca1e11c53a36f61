"""A rehearsal under test: begin it, end it, begin it again with the same command, and judge what became of the cluster."""

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
from tests.chaos.blows import Blow, command, marked, strike
from tests.chaos.moments import PLUGIN, TELL, Instant
from tests.rehearsal.conftest import CHECKOUT, Rehearsal, copy_of_the_checkout

RUN_S = 1200.0
"""A whole rehearsal takes 70 s on a quiet machine; nobody else's load makes ten of it."""

ENDING_S = 90.0
"""When a run that was told to end is taken for one that hangs; what is slow only is judged elsewhere."""

POLL_S = 0.01

CLOCKS_APART_S = 0.5
"""What a run that does not heed a signal goes on for is longer."""

COMPLETE = (Verdict.MET, Verdict.ALREADY_MET, Verdict.NOT_VERIFIABLE)
"""What every criterion has to be in the end."""

KNOWN = (".gitignore", ".generated.json")
"""Hidden files that belong where secrets are."""


HUNG = 124
"""What a run is said to have ended with that did not end by itself."""

STOP = threading.Event()
"""Set when the campaign itself is to end: benches in other threads tidy up."""


class Stopped(Exception):
    """The campaign ends."""


@dataclass(frozen=True)
class Ended:
    """A run that ended, one way or another."""

    code: int
    output: str
    seconds: float
    ending_s: float = 0.0
    """From the blow to the end."""
    missed: bool = False
    """Whether the run was over before the blow."""
    skipped: bool = False
    """Whether it was ended where its action was found not to be needed, which is no boundary of that action."""
    reached: bool = True
    """Whether the criterion began from which the blow was counted."""
    where: tuple[str, str] = ("start", "")
    """Stage and criterion in which it ended, as far as it told."""


@dataclass
class Bench:
    """One rehearsal, and what is known of its bootstrap apart from what it says itself.

    Attributes:
        first_begun: The journal's first action as it was on the disk when it was first seen.
        run_s: When a run is taken for one that hangs.
    """

    rehearsal: Rehearsal
    words: tuple[str, ...] = ()
    first_begun: datetime | None = None
    runs: int = 0
    run_s: float = RUN_S

    @property
    def state(self) -> Path:
        """Where journal, lock and call log are."""
        return self.rehearsal.state

    @property
    def told(self) -> Path:
        """Where the plugin writes when each criterion began."""
        return self.rehearsal.root.parent / "told"

    def start(self, extra: Mapping[str, str] | None = None) -> tuple[subprocess.Popen[bytes], Path]:
        """Begin a run, in a process group of its own, as a shell does; its output goes to a file, which outlives it."""
        self.runs += 1
        self.told.write_text("")
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

    def finish(self) -> Ended:
        """Run the command to its end, as an operator does: nothing is added to it."""
        started = time.monotonic()
        process, output = self.start()
        code = self.wait(process, self.run_s)
        self._note_first_action()
        return Ended(code, output.read_text(errors="replace"), time.monotonic() - started)

    def ended_at(self, instant: Instant) -> Ended:
        """Run the command until it is ended at a named moment, by its own hand."""
        started = time.monotonic()
        process, output = self.start({**instant.environment(), TELL: str(self.told)})
        code = self.wait(process, self.run_s)
        self._note_first_action()
        told = self.told.read_text().splitlines()
        struck = [float(line.split()[0]) for line in told if line.endswith(" struck")]
        ending_s = time.time() - struck[0] if struck else 0.0
        skipped = any(line.endswith(" skipped") for line in told)
        return Ended(
            code,
            output.read_text(errors="replace"),
            time.monotonic() - started,
            ending_s,
            not struck,
            skipped,
            where=_where(told),
        )

    def ended_after(self, criterion: str, later_s: float, blow: Blow) -> Ended:
        """Run the command until so long after a criterion began (the run itself, for an empty one), and end it from outside."""
        started = time.monotonic()
        process, output = self.start({**PLUGIN, TELL: str(self.told)})
        self._watch(process, self.run_s, until=lambda: not criterion or self._began(criterion))
        reached = not criterion or self._began(criterion)
        if reached:
            self._watch(process, later_s)
        struck, struck_at = time.monotonic(), time.time()
        missed = not reached or process.poll() is not None
        if not missed:
            strike(process.pid, blow, str(self.state))
        # A run that never came to the criterion has had its time.
        code = self.wait(process, ENDING_S if reached else 0)
        self._note_first_action()
        now = time.monotonic()
        # Nothing outlives SIGKILL; and only who heard the signal after its last criterion ends as if there had been none.
        missed = missed or (
            code == 0 and self._was_over(struck_at)
            if blow.is_orderly
            else code not in (-signal.SIGKILL, HUNG)
        )
        where = _where(self.told.read_text().splitlines())
        return Ended(
            code,
            output.read_text(errors="replace"),
            now - started,
            now - struck,
            missed,
            reached=reached,
            where=where,
        )

    def troubles(self) -> list[str]:
        """Return everything that is not as it has to be after the command ended well, in words."""
        return [
            *self.unmet(),
            *_bootstrapped_once(self.state),
            *self._releases(),
            *self.left(),
            *self._counted_from_the_first_action(),
            *self._litter(),
        ]

    def unmet(self) -> list[str]:
        """Return every criterion that the last report does not call met, or not verifiable here."""
        # A run of a part of the checklist says nothing of the rest.
        verdicts = {
            name: verdict
            for name, verdict in self.rehearsal.verdicts().items()
            if verdict is not None or not self.words
        }
        return [
            f"{name} is {verdict}" for name, verdict in verdicts.items() if verdict not in COMPLETE
        ] or ([] if verdicts else ["no criteria"])

    def journal(self) -> list[dict[str, Any]]:
        """Return the journal's whole lines."""
        path = self.state / "journal.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def down(self) -> None:
        """Leave nothing behind."""
        done = self.rehearsal.lab("down")
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)

    def wait(self, process: subprocess.Popen[bytes], longest_s: float) -> int:
        """Return what a run ended with; what hangs is a finding, and must not hang us."""
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
        """Return when a run has ended, when something is so, or after so long; end it when the campaign is to end.

        Raises:
            Stopped: The campaign ends.
        """
        deadline = time.monotonic() + longest_s
        while process.poll() is None and time.monotonic() < deadline and not until():
            if STOP.wait(POLL_S):
                self._end(process)
                raise Stopped

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        strike(process.pid, Blow.KILL_ALL, str(self.state))
        process.wait(timeout=10)

    def _began(self, criterion: str) -> bool:
        return any(line.endswith(f" {criterion}") for line in self.told.read_text().splitlines())

    def _was_over(self, at: float) -> bool:
        """Whether the last run had said its last word at that time; the journal's clock may be some milliseconds off."""
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

    def left(self) -> list[str]:
        return [f"process {pid} is left: {command(pid)[:80]}" for pid in marked(str(self.state))]

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
            # A part of the checklist verifies no whole.
            return []
        if (
            verified_s is None
            or verified_s > (last_met - self.first_begun).total_seconds() + 1
            or head["state"] == "interrupted"
        ):
            return [
                f"verified after {verified_s} s, of {(last_met - self.first_begun).total_seconds():.0f} s at most"
            ]
        return []

    def _litter(self) -> list[str]:
        """Return what killed runs left lying about where secrets are: half-written files, temporary folders."""
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
        return [f"{path} is left" for path in found]


def _where(told: list[str]) -> tuple[str, str]:
    named = [line.split() for line in told if not line.endswith((" struck", " skipped"))]
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
    """Make a bench on its own loopback network, and leave nothing behind."""
    copy_of_the_checkout(folder / "checkout", network)
    bench = Bench(Rehearsal(folder / "checkout", folder / "state"), words)
    try:
        yield bench
    finally:
        bench.down()
