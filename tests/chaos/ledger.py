"""The ledger: one line for each bootstrap and its outcome, and the summary table.

With it, an interrupted campaign continues where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.chaos.chain import Interrupted, Outcome
from tests.chaos.plan import Slot


@dataclass(frozen=True)
class Ledger:
    """One file per seed."""

    path: Path

    def timeline(self) -> list[Slot]:
        """Return the timeline of the undisturbed run; empty if there is none yet."""
        return next(
            (
                [Slot(**slot) for slot in line["timeline"]]
                for line in self._lines()
                if "timeline" in line
            ),
            [],
        )

    def keep_timeline(self, timeline: Sequence[Slot]) -> None:
        """Save the timeline, because the same seed must mean the same instants."""
        self._append({"timeline": [asdict(slot) for slot in timeline]})

    def done(self) -> dict[str, dict[str, Any]]:
        """Return every finished bootstrap by name."""
        return {line["chain"]: line for line in self._lines() if "interrupted" in line}

    def keep(self, chain: str, outcome: Outcome) -> None:
        """Save the outcome of one bootstrap."""
        self._append(
            {
                "chain": chain,
                "converged": outcome.converged,
                "finished_s": outcome.finished_s,
                "problems": outcome.problems,
                "interrupted": [asdict(each) for each in outcome.interrupted],
            }
        )

    def _append(self, line: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as stream:
            stream.write(json.dumps(line) + "\n")

    def _lines(self) -> Iterator[dict[str, Any]]:
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                yield json.loads(line)


def summary(ledger: Ledger, seed: int) -> str:
    """Return the summary of a campaign in Markdown."""
    done = ledger.done()
    timeline = ledger.timeline()
    parts = [f"# Chaos, seed {seed}", ""]
    if timeline:
        parts += [
            f"An undisturbed run took {timeline[-1].began_s + timeline[-1].lasted_s:.0f} s.",
            "",
        ]
    for kind in ("matrix", "kills", "signals"):
        chains = {name: line for name, line in done.items() if name.startswith(kind)}
        interrupted = [
            Interrupted(**each) for line in chains.values() for each in line["interrupted"]
        ]
        if not interrupted:
            continue
        hit = [each for each in interrupted if each.hit]
        missed, skipped = (
            sum(each.missed for each in interrupted),
            sum(each.skipped for each in interrupted),
        )
        counts = (
            f"{len(hit)} interruptions of {len(chains)} bootstraps: "
            f"{sum(each.converged for each in hit)} converged, "
            f"{missed} {LATE}, {skipped} {NOT_NEEDED}."
        )
        parts += [
            f"## {HEADS[kind]}",
            "",
            counts,
            "",
            *_table(hit),
            "",
        ]
        wrong = [(name, line) for name, line in chains.items() if not line["converged"]]
        parts += [f"- {name}: {'; '.join(_problems(line))}" for name, line in wrong]
    return "\n".join(parts).rstrip() + "\n"


def _problems(line: dict[str, Any]) -> list[str]:
    return [
        *line["problems"],
        *(
            f"{each['interruption']}: {problem}"
            for each in line["interrupted"]
            for problem in each["problems"]
        ),
    ]


LATE = "came after the end of their run"
NOT_NEEDED = "hit an action that was not needed"

HEADS = {
    "matrix": "Every boundary of every action",
    "kills": "Random instants, SIGKILL",
    "signals": "Random instants, SIGINT, SIGTERM, SIGHUP",
}


def _table(hit: Sequence[Interrupted]) -> list[str]:
    rows = [
        "| stage | interrupted | converged | recovered after, median | maximum | longest ending |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for stage in [
        *sorted({each.stage for each in hit}, key=lambda stage: (stage != "start", stage)),
        "all",
    ]:
        of = [each for each in hit if stage in (each.stage, "all")]
        times = [each.recovered_s for each in of if each.recovered_s is not None]
        endings = [each.ending_s for each in of]
        recovered = f"{median(times):.1f} s | {max(times):.1f} s" if times else "- | -"
        rows.append(
            f"| {stage} | {len(of)} | {sum(each.converged for each in of)} "
            f"| {recovered} | {max(endings):.1f} s |"
        )
    return rows
