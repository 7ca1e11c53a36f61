"""`python -m tests.docker.killed_runs`: kill real bootstraps on the docker target at three places.

Each round is one bootstrap from scratch. It is killed with SIGKILL during etcd's bootstrap,
Cilium's installation and Flux's first synchronisation, restarted with the same command each time,
and then runs to its end. Afterwards the lab is removed, and this host must be as before. Prints a
table; exits with 1 unless every round converged. Run by `./task lab:test`.
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

from tests.docker import remains
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
RUN = (
    sys.executable,
    "-m",
    "pytest",
    "bootstrap_tests",
    "--cluster",
    "infra",
    "--target",
    "docker",
)
LAB = (sys.executable, "-m", "lab.docker")

KILLS = {
    "etcd's bootstrap": ("bootstrap etcd on", (0.2, 0.8, 1.5)),
    "Cilium's installation": ("install cilium", (4.0, 8.0, 2.0)),
    "Flux's synchronisation": ("apply the GitRepository", (0.2, 1.5, 0.8)),
}
"""For each kill: the action to wait for in the journal, and the delay in seconds, by round."""

RUN_S = 1800.0
_POLL_S = 0.1


@dataclass
class Round:
    """One bootstrap: its kills, what the next runs had to do, how it ended, and its leftovers."""

    number: int
    kills: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    exit_code: int = -1
    bootstraps: int = 0
    seconds: float = 0.0
    control_groups: str = ""
    left: list[str] = field(default_factory=list)

    @property
    def converged(self) -> bool:
        is_whole = self.exit_code == 0 and self.bootstraps == 1 and len(self.kills) == len(KILLS)
        return is_whole and self.control_groups.startswith("no program") and not self.left


def state_folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "firstlight" / "docker" / "infra"


def events_since(size: int) -> list[dict[str, str]]:
    """Return the events after this offset of the journal, without an incomplete last line."""
    journal = state_folder() / "journal.jsonl"
    lines = journal.read_bytes()[size:].split(b"\n")[:-1] if journal.exists() else []
    return [json.loads(line) for line in lines]


def begun(action: str, since: int) -> dict[str, str] | None:
    """Return the event that an action began."""
    return next(
        (
            event
            for event in events_since(since)
            if event["event"] == "ActionBegun" and action in event["action"]
        ),
        None,
    )


def size_of_journal() -> int:
    """Return where the last complete line ends: the next run cuts off what follows."""
    journal = state_folder() / "journal.jsonl"
    return journal.read_bytes().rfind(b"\n") + 1 if journal.exists() else 0


def bootstraps_received() -> int:
    """Count the bootstrap requests on the machines' consoles, including refused ones."""
    shown = subprocess.run(
        [*LAB, "logs", "--lines", "1000000"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return sum(line.endswith("bootstrap request received") for line in shown.splitlines())


def kill_during(log: Path, action: str, delay_s: float) -> bool:
    """Start a run and kill it some time after an action began.

    Returns:
        Whether the action's criterion was still open at that time.
    """
    since = size_of_journal()
    with log.open("ab") as out:
        child = subprocess.Popen(RUN, cwd=ROOT, stdout=out, stderr=out, start_new_session=True)
    until(lambda: begun(action, since) or child.poll() is not None, within_s=RUN_S, pause_s=_POLL_S)
    event = begun(action, since)
    if event is None:
        child.kill()
        child.wait()
        return False
    try:
        child.wait(timeout=delay_s)
    except subprocess.TimeoutExpired:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        ended = {event["id"] for event in events_since(since) if event["event"] == "CriterionEnded"}
        return event["criterion"] not in ended
    return False


def one_round(number: int, log: Path) -> Round:
    found = Round(number)
    down()
    before = remains.seen()
    started = time.monotonic()
    ends: list[tuple[str, int]] = []
    for step, (action, delays_s) in KILLS.items():
        delay_s = delays_s[(number - 1) % len(delays_s)]
        if kill_during(log, action, delay_s):
            found.kills.append(f"{step} ({delay_s:g} s in)")
            ends.append((action, size_of_journal()))
    with log.open("ab") as out:
        found.exit_code = subprocess.run(
            RUN, cwd=ROOT, check=False, stdout=out, stderr=out, timeout=RUN_S
        ).returncode
    found.seconds = time.monotonic() - started
    for action, since in ends:
        again = begun(action, since)
        found.found.append(f"{action}: {again['reason'] if again else 'already done'}")
    found.bootstraps = bootstraps_received()
    status = subprocess.run(
        [*LAB, "status"], cwd=ROOT, check=False, capture_output=True, text=True
    ).stdout
    found.control_groups = next(
        (
            line.split(maxsplit=1)[1]
            for line in status.splitlines()
            if line.strip().startswith("host ")
        ),
        "unknown",
    )
    down()
    found.left = remains.more(before)
    return found


def down() -> None:
    subprocess.run([*LAB, "down"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.docker.killed_runs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--nodes", default="1+1")
    parser.add_argument("--reports", type=Path, default=ROOT / "reports" / "docker-kills")
    options = parser.parse_args()
    os.environ["FIRSTLIGHT_DOCKER_NODES"] = options.nodes
    options.reports.mkdir(parents=True, exist_ok=True)
    rounds = []
    heads = (
        "round",
        "nodes",
        "killed during",
        "next run found",
        "bootstrap requests",
        "last exit code",
        "seconds",
        "left by docker:down",
        "converged",
    )
    sys.stdout.write(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|\n")
    for number in range(1, options.rounds + 1):
        found = one_round(number, options.reports / f"round-{number}.log")
        rounds.append(found)
        row = (
            number,
            options.nodes,
            "; ".join(found.kills),
            "; ".join(found.found),
            found.bootstraps,
            found.exit_code,
            f"{found.seconds:.0f}",
        )
        sys.stdout.write(
            f"| {' | '.join(map(str, row))} | {'; '.join(found.left) or 'nothing'} "
            f"| {found.converged} |\n"
        )
        sys.stdout.flush()
    (options.reports / "table.json").write_text(
        json.dumps([vars(found) for found in rounds], indent=2) + "\n"
    )
    return 0 if all(found.converged for found in rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
