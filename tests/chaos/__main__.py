"""`./task chaos`: end rehearsals at every boundary and at random instants, and check convergence.

N=200       number of random SIGKILLs
SIGNALS=30  number of random SIGINT, SIGTERM and SIGHUP
SEED=1      seed of the random instants; the same seed and command continue an interrupted campaign
EACH=10     number of interruptions per bootstrap
LABS=1      number of rehearsals at once
MATRIX=no   skip the boundaries
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.chaos.bench import RUN_S, STOP, Bench, bench_on
from tests.chaos.chain import run_chain
from tests.chaos.ledger import Ledger, summary
from tests.chaos.moments import PLUGIN, PROGRESS
from tests.chaos.plan import (
    GRACEFUL,
    KILLS,
    Interruption,
    chained,
    matrix,
    random_chain,
    timeline_of,
)
from tests.rehearsals import CHECKOUT

FIRST_NETWORK = 40
"""First of the loopback networks for rehearsals; nothing else uses them."""

_OUTPUT = threading.Lock()


def main(argv: Sequence[str]) -> int:
    """Run a campaign, or the rest of one."""
    options = _parser().parse_args(argv)
    # A shell that starts us in the background makes us and our children ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = CHECKOUT / "reports" / "chaos"
    ledger = Ledger(folder / f"seed-{options.seed}.jsonl")
    _say(f"seed {options.seed}, ledger {ledger.path}")
    networks: SimpleQueue[int] = SimpleQueue()
    for number in range(options.labs):
        networks.put(FIRST_NETWORK + number)
    with ThreadPoolExecutor(max_workers=options.labs) as pool:
        try:
            if not ledger.timeline():
                pool.submit(_measure, ledger, FIRST_NETWORK).result()
            chains = {
                name: interruptions
                for name, interruptions in _chains(options, ledger).items()
                if name not in ledger.done()
            }
            _say(f"{len(chains)} bootstraps to go, {sum(map(len, chains.values()))} interruptions")
            futures = [
                pool.submit(_one, ledger, name, interruptions, networks, folder)
                for name, interruptions in chains.items()
            ]
            for future in futures:
                future.result()
        except KeyboardInterrupt:
            _say("ending; the same command continues from here")
            STOP.set()
            pool.shutdown(cancel_futures=True)
            return 2
    text = summary(ledger, options.seed)
    (folder / f"seed-{options.seed}.md").write_text(text)
    _say(text)
    return 0 if all(line["converged"] for line in ledger.done().values()) else 1


def _chains(options: argparse.Namespace, ledger: Ledger) -> dict[str, list[Interruption]]:
    timeline = ledger.timeline()
    chains: dict[str, list[Interruption]] = {}
    if options.matrix != "no":
        chains |= {
            f"matrix-{number}": interruptions for number, interruptions in enumerate(matrix())
        }
    for kind, count, terminations in (
        ("kills", options.kills, KILLS),
        ("signals", options.signals, GRACEFUL),
    ):
        for number, kills in chained(count, options.each):
            chains[f"{kind}-{number}"] = random_chain(
                options.seed, number, timeline, kills, terminations
            )
    return chains


def _one(
    ledger: Ledger,
    name: str,
    interruptions: Sequence[Interruption],
    networks: SimpleQueue[int],
    folder: Path,
) -> None:
    network = networks.get()
    base = Path(tempfile.mkdtemp(prefix=f"chaos-{name}-"))
    try:
        with bench_on(network, base / "lab") as bench:
            outcome = run_chain(bench, interruptions, say=lambda text: _say(f"{name}: {text}"))
            if not outcome.converged:
                _keep_evidence(bench, folder / name)
            ledger.keep(name, outcome)
    finally:
        networks.put(network)
        shutil.rmtree(base, ignore_errors=True)


def _keep_evidence(bench: Bench, place: Path) -> None:
    """Keep what explains a bootstrap that did not converge.

    That is the output of each run, the lab's logs, the journal and the call log.
    """
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for file in (
        *bench.rehearsal.root.parent.glob("run-*.log"),
        *bench.state.glob("*.jsonl"),
        *bench.state.glob("logs/*"),
    ):
        shutil.copy(file, place)
    shutil.copytree(bench.rehearsal.root / "reports", place / "reports", dirs_exist_ok=True)


def _measure(ledger: Ledger, network: int) -> None:
    """Measure an undisturbed run. Random instants are drawn from its timeline."""
    _say("measuring an undisturbed run")
    base = Path(tempfile.mkdtemp(prefix="chaos-timeline-"))
    with bench_on(network, base / "lab") as bench:
        started = time.time()
        process, output = bench.start({**PLUGIN, PROGRESS: str(bench.progress)})
        code = bench.wait(process, RUN_S)
        if code:
            raise SystemExit(
                f"cannot measure: the undisturbed run ended with {code}\n"
                f"{output.read_text()[-3000:]}"
            )
        ledger.keep_timeline(timeline_of(bench.progress.read_text(), started, time.time()))
    shutil.rmtree(base, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./task chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--signals", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--labs", type=int, default=1)
    parser.add_argument("--matrix", default="yes")
    return parser


def _say(text: str) -> None:
    with _OUTPUT:
        sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
