"""Measure a rehearsal beside the script that it replaces, in turn, each on a fresh lab.

    python -m bench.bootstrap [--pairs 3] [--cluster infra] [--again] [--json FILE]
    python -m bench.bootstrap --machines 6 100 300

The script is `reference.sh`. `--again` also runs the suite a second time on the converged cluster.
`--machines` runs only the suite, once for each of these numbers of machines.
docs/performance.md describes the figures. The lab's state is in a temporary folder; its addresses
must be free (`./task simulated:down`).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench.figures import (
    Figures,
    figures_of_reference,
    figures_of_run,
    percentile,
    read_audit,
)
from firstlight.definition import load
from firstlight.process import CommandResult, run
from firstlight.run.resume import revision_of
from firstlight.target.lab import read_lab
from tests.large import lay_out
from tests.rehearsals import copy_of_the_checkout

CHECKOUT = Path(__file__).resolve().parents[1]
LONGEST_S = 1800.0

_LAB_UP = re.compile(r"lab of \S+: up.* \((\d+\.\d) s\)")

RUN, REFERENCE, AGAIN = "run", "reference", "second run"


class Unmeasured(Exception):
    """A contestant failed, so its times say nothing."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One measured command."""

    result: CommandResult
    wall_s: float
    cpu_s: float


def main(argv: Sequence[str]) -> int:
    """Measure pairs, print a comparison, and keep every figure as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.bootstrap", description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--cluster", default="infra")
    parser.add_argument("--again", action="store_true", help="also measure a second run")
    parser.add_argument("--machines", type=int, nargs="+", help="three are control plane nodes")
    parser.add_argument("--json", type=Path, default=CHECKOUT / "reports" / "bench.json")
    options = parser.parse_args(argv)
    if options.machines:
        return _many(options.machines)
    found: dict[str, list[Figures]] = {RUN: [], REFERENCE: []}
    loads: list[float] = []
    for _ in range(options.pairs):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            bench = Bench(options.cluster, Path(folder))
            try:
                found[RUN].append(bench.run())
                if options.again:
                    found.setdefault(AGAIN, []).append(bench.run())
                bench.down()
                found[REFERENCE].append(bench.reference())
            except Unmeasured as error:
                sys.stderr.write(f"{error}\n")
                return 1
            finally:
                bench.down()
        loads.append(os.getloadavg()[0])
    _keep(options.json, options.cluster, found, loads)
    sys.stdout.write("\n".join(table(found)) + f"\nload at the end of each pair: {loads}\n")
    return 0


class Bench:
    """One lab in a folder of its own, and what runs on it."""

    def __init__(self, cluster: str, folder: Path, checkout: Path = CHECKOUT) -> None:
        self._cluster = cluster
        self._folder = folder
        self._checkout = checkout
        self._environment = {
            **os.environ,
            "XDG_STATE_HOME": str(folder / "state"),
            "PYTHONPATH": f"{checkout / 'src'}:{checkout}:{CHECKOUT}",
            "FIRSTLIGHT_BENCH": str(folder / "events.jsonl"),
        }

    @property
    def lab_memory_mib(self) -> int:
        """The memory of all processes of the lab; what they share counts once."""
        kib = 0
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if str(self._state).encode() in (process / "environ").read_bytes():
                    rollup = (process / "smaps_rollup").read_text()
                    kib += sum(map(int, re.findall(r"^Pss: +(\d+)", rollup, re.MULTILINE)))
        return kib // 1024

    @property
    def _state(self) -> Path:
        return self._folder / "state" / "firstlight" / "simulated" / self._cluster

    def run(self) -> Figures:
        """Measure a whole run of the checklist, which brings up the lab if it is down.

        Raises:
            Unmeasured: A criterion was not met.
        """
        words = ["-m", "pytest", "bootstrap_tests", "--cluster", self._cluster]
        words += ["--report-dir", str(self._folder / "report"), "-p", "bench.recorder"]
        measured = self._measure([sys.executable, *words], "run the checklist")
        lines = [json.loads(line) for line in (self._folder / "events.jsonl").open()]
        with (self._state / "audit.log").open() as log:
            audit = read_audit(log)
        return figures_of_run(
            lines,
            audit,
            wall_s=measured.wall_s,
            lab_s=_lab_s(measured),
            cpu_s=measured.cpu_s,
        )

    def reference(self) -> Figures:
        """Measure the lab and then the reference script.

        Raises:
            Unmeasured: A command of the script failed.
        """
        lab = self._measure([sys.executable, *self._lab("up")], "bring up the lab")
        target = read_lab(self._state / "lab.json", "simulated", self._cluster)
        cluster = load(target.root, self._cluster)
        times = self._folder / "times"
        environment = {
            **target.environment,
            "FIRST": str(cluster.first_control_plane.address),
            "CONTROL_PLANE": ",".join(str(node.address) for node in cluster.control_plane),
            "WORKERS": ",".join(str(node.address) for node in cluster.workers),
            "KUBECONFIG": str(target.kubeconfig),
        }
        target.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        script: list[str | Path] = [CHECKOUT / "bench" / "reference.sh", self._cluster, times]
        measured = self._measure(
            script, "run the reference script", environment=environment, folder=target.root
        )
        return figures_of_reference(
            times.read_text().splitlines(),
            wall_s=lab.wall_s + measured.wall_s,
            lab_s=lab.wall_s,
            cpu_s=lab.cpu_s + measured.cpu_s,
        )

    def down(self) -> None:
        """Remove the lab."""
        run(
            [sys.executable, *self._lab("down")],
            timeout_s=60,
            env=self._environment,
            cwd=self._checkout,
        )

    def _lab(self, command: str) -> list[str]:
        return ["-m", "lab.simulated", command, "--cluster", self._cluster]

    def _measure(
        self,
        words: Sequence[str | Path],
        doing: str,
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> Measured:
        cpu_s, began = _children_cpu_s(), time.monotonic()
        result = run(
            words,
            timeout_s=LONGEST_S,
            env=environment or self._environment,
            cwd=folder or self._checkout,
        )
        measured = Measured(result, time.monotonic() - began, _children_cpu_s() - cpu_s)
        if not result.ok:
            raise Unmeasured(f"cannot {doing}: {result.ending}\n" + "\n".join(result.output_tail))
        return measured


def _many(counts: Sequence[int]) -> int:
    """Run the suite once for each number of machines, and print what it took."""
    sys.stdout.write(
        "machines  wall s  bootstrap s  second run s  cpu s  own cpu s  suite MiB  lab MiB\n"
    )
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            checkout = Path(folder) / "checkout"
            copy_of_the_checkout(checkout, network=11)
            for name in ("clusters", "bootstrap"):
                shutil.rmtree(checkout / name)
            lay_out(checkout, count)
            bench = Bench("infra", Path(folder), checkout)
            try:
                first, again, lab = bench.run(), bench.run(), bench.lab_memory_mib
            except Unmeasured as error:
                sys.stderr.write(f"{count} machines: {error}\n")
                return 1
            finally:
                bench.down()
        sys.stdout.write(
            f"{count:8}  {first.wall_s:6.1f}  {first.bootstrap_s:11.1f}  {again.wall_s:12.1f}  "
            f"{first.cpu_s:5.0f}  {first.own_cpu_s:9.1f}  {first.memory_mib:9}  {lab:7}\n"
        )
    return 0


def table(found: Mapping[str, Sequence[Figures]]) -> list[str]:
    """Return the comparison as lines: medians of the run and the script, and their ratios."""
    runs, scripts = found[RUN], found[REFERENCE]
    lines = [f"{'median of ' + str(len(runs)):32} {RUN:>10} {REFERENCE:>10} {'ratio':>7}"]

    def row(name: str, ours: Sequence[float], theirs: Sequence[float]) -> None:
        pairs = [one / other for one, other in zip(ours, theirs, strict=True) if other]
        ratio = f"{median(pairs):7.2f}" if pairs else ""
        lines.append(f"{name:32} {median(ours):10.2f} {median(theirs):10.2f} {ratio}".rstrip())

    for name in (
        "bootstrap_s", "wall_s", "lab_s", "tools_s", "cluster_s", "own_s", "cpu_s", "processes",
    ):  # fmt: skip
        row(
            name,
            [float(getattr(one, name)) for one in runs],
            [float(getattr(one, name)) for one in scripts],
        )
    for stage in runs[0].stages:
        row(
            f"stage {stage}",
            [one.stages.get(stage, 0.0) for one in runs],
            [one.stages.get(stage, 0.0) for one in scripts],
        )
    for tool in runs[0].tools:
        row(
            f"tool {tool}",
            [one.tools.get(tool, 0.0) for one in runs],
            [one.tools.get(tool, 0.0) for one in scripts],
        )
    for name, each in ((name, found[name]) for name in (RUN, AGAIN) if name in found):
        delays = [delay for one in each for delay in one.delays_ms]
        lines.append(
            f"{name}: wall {median(one.wall_s for one in each):.1f} s, "
            f"own {median(one.own_s for one in each):.2f} s "
            f"({median(one.own_s / one.wall_s for one in each):.1%} of the wall clock), "
            f"own processor time {median(one.own_cpu_s for one in each):.2f} s, "
            f"{median(one.memory_mib for one in each):.0f} MiB; "
            f"seen after {percentile(delays, 0.5):.0f} ms (median), "
            f"{percentile(delays, 0.95):.0f} ms (95th percentile) in {len(delays)} waits"
        )
    return lines


def _keep(
    path: Path, cluster: str, found: Mapping[str, Sequence[Figures]], loads: Sequence[float]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "revision": revision_of(CHECKOUT),
        "cluster": cluster,
        "processors": os.cpu_count(),
        "load": loads,
        **{name: [asdict(one) for one in each] for name, each in found.items()},
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def _lab_s(measured: Measured) -> float:
    found = _LAB_UP.search(measured.result.stdout)
    return float(found.group(1)) if found else 0.0


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
