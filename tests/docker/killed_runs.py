"""`python -m tests.docker.killed_runs`: real bootstraps on the docker target that are killed at three places, and must converge.

Each round is one bootstrap from nothing: killed with SIGKILL in the middle of etcd's bootstrap, of Cilium's installation and of Flux's
first synchronisation, each time started again with the same command, and run to its end. Prints a table; exits 1 unless every round
converged. Run by `./task lab:test`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUN = (sys.executable, "-m", "pytest", "bootstrap_tests", "--cluster", "infra", "--target", "docker")
LAB = (sys.executable, "-m", "lab.docker")

MOMENTS = {
    "etcd's bootstrap": ("bootstrap etcd on", 1.0),
    "Cilium's installation": ("install cilium", 8.0),
    "Flux's synchronisation": ("apply the GitRepository", 2.0),
}
"""Per moment: the action whose beginning is waited for in the journal, and how many seconds later the blow falls."""

RUN_S = 1800.0
_LOOK_S = 0.1


@dataclass
class Round:
    """One bootstrap: which blows fell, and how it ended."""

    number: int
    blows: list[str] = field(default_factory=list)
    exit_code: int = -1
    bootstraps: int = 0
    seconds: float = 0.0

    @property
    def converged(self) -> bool:
        return self.exit_code == 0 and self.bootstraps == 1 and len(self.blows) == len(MOMENTS)


def state_folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "firstlight" / "docker" / "infra"


def begun(action: str, since: int) -> bool:
    """Whether the journal says, behind its first so many bytes, that an action began."""
    journal = state_folder() / "journal.jsonl"
    if not journal.exists():
        return False
    with journal.open("rb") as stream:
        stream.seek(since)
        return any(b"ActionBegun" in line and action.encode() in line for line in stream)


def size_of_journal() -> int:
    journal = state_folder() / "journal.jsonl"
    return journal.stat().st_size if journal.exists() else 0


def strike(log: Path, action: str, delay_s: float) -> bool:
    """Start a run, kill it so long after an action began; report whether it was still running then."""
    since = size_of_journal()
    with log.open("ab") as out:
        child = subprocess.Popen(RUN, cwd=ROOT, stdout=out, stderr=out, start_new_session=True)
    deadline = time.monotonic() + RUN_S
    while not begun(action, since):
        if child.poll() is not None or time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_S)
    try:
        child.wait(timeout=delay_s)
    except subprocess.TimeoutExpired:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        return True
    return False


def bootstraps_accepted() -> int:
    """Count how often the journal says that etcd's bootstrap was accepted."""
    journal = state_folder() / "journal.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    return sum(1 for line in lines if '"ActionBegun"' in line and "bootstrap etcd on" in line)


def one_round(number: int, log: Path) -> Round:
    found = Round(number)
    subprocess.run([*LAB, "down"], cwd=ROOT, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started = time.monotonic()
    for moment, (action, delay_s) in MOMENTS.items():
        if strike(log, action, delay_s):
            found.blows.append(moment)
    with log.open("ab") as out:
        found.exit_code = subprocess.run(RUN, cwd=ROOT, check=False, stdout=out, stderr=out).returncode
    found.seconds = time.monotonic() - started
    found.bootstraps = bootstraps_accepted()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.docker.killed_runs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--nodes", default="1+1")
    parser.add_argument("--reports", type=Path, default=ROOT / "reports" / "docker-kills")
    options = parser.parse_args()
    os.environ["FIRSTLIGHT_DOCKER_NODES"] = options.nodes
    options.reports.mkdir(parents=True, exist_ok=True)
    rounds = []
    sys.stdout.write(
        f"| round | nodes | killed in the middle of | etcd bootstraps begun | exit code of the last run | seconds | converged |\n{'|---' * 7}|\n"
    )
    for number in range(1, options.rounds + 1):
        found = one_round(number, options.reports / f"round-{number}.log")
        rounds.append(found)
        row = (number, options.nodes, "; ".join(found.blows), found.bootstraps, found.exit_code, f"{found.seconds:.0f}", found.converged)
        sys.stdout.write(f"| {' | '.join(map(str, row))} |\n")
        sys.stdout.flush()
    (options.reports / "table.json").write_text(json.dumps([vars(found) for found in rounds], indent=2) + "\n")
    return 0 if all(found.converged for found in rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
