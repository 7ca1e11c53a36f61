"""`./task chaos`: end rehearsals at every boundary and at random instants, see that each converges, and say so in a table.

N=200       how many random SIGKILLs
SIGNALS=30  how many random SIGINT, SIGTERM and SIGHUP
SEED=1      where they come from: the same seed means the same instants; a campaign that was ended goes on with the same command
EACH=10     how many ends one bootstrap takes
LABS=1      how many rehearsals at once
MATRIX=no   leave the boundaries out
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
from tests.chaos.moments import PLUGIN, TELL
from tests.chaos.plan import KILLS, ORDERLY, Shot, chained, matrix, random_chain, timeline_of
from tests.rehearsal.conftest import CHECKOUT

FIRST_NETWORK = 40
"""Of the loopback networks that rehearsals lie on: nobody else's."""

_SAYING = threading.Lock()


def main(argv: Sequence[str]) -> int:
    """Run a campaign, or what is left of it."""
    options = _parser().parse_args(argv)
    # A shell that starts us in the background has us ignore SIGINT, and whatever we start as well.
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
                name: shots
                for name, shots in _chains(options, ledger).items()
                if name not in ledger.done()
            }
            _say(f"{len(chains)} bootstraps to go, {sum(map(len, chains.values()))} ends of runs")
            futures = [
                pool.submit(_one, ledger, name, shots, networks, folder)
                for name, shots in chains.items()
            ]
            for future in futures:
                future.result()
        except KeyboardInterrupt:
            _say("ending; the same command goes on from here")
            STOP.set()
            pool.shutdown(cancel_futures=True)
            return 2
    text = summary(ledger, options.seed)
    (folder / f"seed-{options.seed}.md").write_text(text)
    _say(text)
    return 0 if all(line["converged"] for line in ledger.done().values()) else 1


def _chains(options: argparse.Namespace, ledger: Ledger) -> dict[str, list[Shot]]:
    timeline = ledger.timeline()
    chains: dict[str, list[Shot]] = {}
    if options.matrix != "no":
        chains |= {f"matrix-{number}": shots for number, shots in enumerate(matrix())}
    for kind, count, blows in (
        ("kills", options.kills, KILLS),
        ("signals", options.signals, ORDERLY),
    ):
        for number, kills in chained(count, options.each):
            chains[f"{kind}-{number}"] = random_chain(options.seed, number, timeline, kills, blows)
    return chains


def _one(
    ledger: Ledger, name: str, shots: Sequence[Shot], networks: SimpleQueue[int], folder: Path
) -> None:
    network = networks.get()
    base = Path(tempfile.mkdtemp(prefix=f"chaos-{name}-"))
    try:
        with bench_on(network, base / "lab") as bench:
            outcome = run_chain(bench, shots, say=lambda text: _say(f"{name}: {text}"))
            if not outcome.converged:
                _keep_evidence(bench, folder / name)
            ledger.keep(name, outcome)
    finally:
        networks.put(network)
        shutil.rmtree(base, ignore_errors=True)


def _keep_evidence(bench: Bench, place: Path) -> None:
    """Keep what explains a bootstrap that did not converge: each run's output, the lab's logs, the journal, the call log."""
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
    """Take the time of an undisturbed run: random instants are drawn from it."""
    _say("measuring an undisturbed run")
    base = Path(tempfile.mkdtemp(prefix="chaos-timeline-"))
    with bench_on(network, base / "lab") as bench:
        started = time.time()
        process, output = bench.start({**PLUGIN, TELL: str(bench.told)})
        code = bench.wait(process, RUN_S)
        if code:
            raise SystemExit(
                f"cannot measure: the undisturbed run ended with {code}\n{output.read_text()[-3000:]}"
            )
        ledger.keep_timeline(timeline_of(bench.told.read_text(), started, time.time()))
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
    with _SAYING:
        sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
