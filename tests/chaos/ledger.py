"""The ledger: what was tried and what came of it, one bootstrap a line, so that a campaign goes on where it was ended; and its table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.chaos.chain import Outcome, Struck
from tests.chaos.plan import Slot


@dataclass(frozen=True)
class Ledger:
    """One file for a seed."""

    path: Path

    def timeline(self) -> list[Slot]:
        """Return the undisturbed run's timeline, empty before there was one."""
        return next(
            (
                [Slot(**slot) for slot in line["timeline"]]
                for line in self._lines()
                if "timeline" in line
            ),
            [],
        )

    def keep_timeline(self, timeline: Sequence[Slot]) -> None:
        """Keep it: the same seed must mean the same instants."""
        self._append({"timeline": [asdict(slot) for slot in timeline]})

    def done(self) -> dict[str, dict[str, Any]]:
        """Return every bootstrap that was finished, by name."""
        return {line["chain"]: line for line in self._lines() if "chain" in line}

    def keep(self, chain: str, outcome: Outcome) -> None:
        """Keep what became of one bootstrap."""
        self._append(
            {
                "chain": chain,
                "converged": outcome.converged,
                "finished_s": outcome.finished_s,
                "troubles": outcome.troubles,
                "struck": [asdict(each) for each in outcome.struck],
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
    """Return the table of a campaign, in Markdown."""
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
        struck = [Struck(**each) for line in chains.values() for each in line["struck"]]
        if not struck:
            continue
        hit = [each for each in struck if each.hit]
        missed, skipped = sum(each.missed for each in struck), sum(each.skipped for each in struck)
        parts += [
            f"## {HEADS[kind]}",
            "",
            f"{len(hit)} ends of {len(chains)} bootstraps: {sum(each.converged for each in hit)} converged, {missed} {LATE}, {skipped} {NOT_NEEDED}.",
            "",
            *_table(hit),
            "",
        ]
        wrong = [(name, line) for name, line in chains.items() if not line["converged"]]
        parts += [f"- {name}: {'; '.join(_troubles(line))}" for name, line in wrong]
    return "\n".join(parts).rstrip() + "\n"


def _troubles(line: dict[str, Any]) -> list[str]:
    return [
        *line["troubles"],
        *(f"{each['shot']}: {trouble}" for each in line["struck"] for trouble in each["troubles"]),
    ]


LATE = "came after their run's end"
NOT_NEEDED = "met an action that was not needed"

HEADS = {
    "matrix": "Every boundary of every action",
    "kills": "Random instants, SIGKILL",
    "signals": "Random instants, SIGINT, SIGTERM, SIGHUP",
}


def _table(hit: Sequence[Struck]) -> list[str]:
    rows = [
        "| stage | ended | converged | recovered after, median | at most | ending took, at most |",
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
            f"| {stage} | {len(of)} | {sum(each.converged for each in of)} | {recovered} | {max(endings):.1f} s |"
        )
    return rows
