"""`down` ends marked processes and removes the lab's files, and nothing else, in any state."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from firstlight.clock import SystemClock
from firstlight.errors import ClusterLocked
from firstlight.lock import cluster_lock
from firstlight.process import run
from firstlight.target import run_lock
from firstlight.tools.orphans import MARK as RUN_MARK
from lab.simulated import processes
from lab.simulated.ending import down
from lab.simulated.paths import MARK, LabPaths
from tests.lab.support import CALL_S, ROOT, python_environment

SLEEP = ("sleep", "300")


class Sleepers:
    """Processes that only wait. All of them end with the test."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, mark: str = "", argv: tuple[str, ...] = SLEEP) -> subprocess.Popen[bytes]:
        environment = {"PATH": os.environ["PATH"], **({MARK: mark} if mark else {})}
        self.started.append(
            subprocess.Popen(argv, env=environment, start_new_session=True, stdout=subprocess.PIPE)
        )
        return self.started[-1]


@pytest.fixture
def sleepers() -> Iterator[Sleepers]:
    found = Sleepers()
    yield found
    for sleeper in found.started:
        sleeper.kill()
        sleeper.communicate()


def quietly(_text: str) -> None:
    """Print nothing."""


def test_only_marked_processes_are_ended(paths: LabPaths, sleepers: Sleepers):
    ours = [sleepers.start(str(paths.state)) for _ in range(3)]
    others = [
        sleepers.start(),
        sleepers.start(str(paths.state.parent / "apps")),
        sleepers.start(f"{paths.state}-two"),
    ]

    assert down(paths, quietly)
    assert [sleeper.wait(timeout=5) for sleeper in ours] == [-15, -15, -15]
    assert [sleeper.poll() for sleeper in others] == [None, None, None]


def test_children_of_a_killed_process_are_ended_too(paths: LabPaths, sleepers: Sleepers):
    parent = sleepers.start(str(paths.state), ("sh", "-c", "sleep 300 & echo $!; wait"))
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()

    assert down(paths, quietly)
    assert processes.state_of(child) == "" or processes.is_zombie(child)


def test_nothing_of_the_lab_remains(paths: LabPaths, sleepers: Sleepers):
    sleepers.start(str(paths.state))
    (paths.state / "tree" / "deep").mkdir(parents=True)
    (paths.state / "tree" / "deep" / "file").touch(mode=0o400)

    down(paths, quietly)

    assert not paths.state.exists()
    assert not paths.lock.exists()
    assert not run_lock(paths.state).exists()
    assert not paths.state.parent.exists()
    assert list(processes.marked(paths.state)) == []


def test_another_clusters_lab_keeps_its_files(paths: LabPaths):
    other = paths.state.parent / "apps"
    other.mkdir()
    (other / "lab.json").touch()

    down(paths, quietly)

    assert (other / "lab.json").exists()


def test_a_half_removed_lab_is_ended(paths: LabPaths, sleepers: Sleepers):
    sleeper = sleepers.start(str(paths.state))
    shutil.rmtree(paths.state.parent)

    assert down(paths, quietly)
    assert sleeper.wait(timeout=5) == -15
    assert not paths.lock.exists()


def test_without_a_lab_down_does_and_creates_nothing(paths: LabPaths):
    shutil.rmtree(paths.state.parent)

    assert not down(paths, quietly)
    assert not paths.state.parent.exists()


def test_a_shell_with_the_mark_survives_its_own_down(paths: LabPaths, sleepers: Sleepers):
    sleeper = sleepers.start(str(paths.state))
    script = f"{sys.executable} -m lab.simulated down --cluster infra && echo survived"
    environment = python_environment({MARK: str(paths.state), "HOME": str(paths.home)})

    result = run(["sh", "-c", script], timeout_s=CALL_S, env=environment, cwd=ROOT)

    assert result.stdout.endswith("survived\n"), result.stderr
    assert sleeper.wait(timeout=5) == -15
    assert not paths.state.exists()


def test_a_lab_that_a_run_uses_is_not_ended(paths: LabPaths, sleepers: Sleepers):
    sleeper = sleepers.start(str(paths.state))
    (paths.state / "journal.jsonl").touch()

    with (
        cluster_lock(run_lock(paths.state), "infra", SystemClock()),
        pytest.raises(
            ClusterLocked,
            match=r"cannot end the lab of infra: another run holds it\n  held by   .*process \d+, ",
        ),
    ):
        down(paths, quietly)

    assert sleeper.poll() is None
    assert (paths.state / "journal.jsonl").exists()


@pytest.mark.parametrize("target", ["simulated", "docker", "kind"])
def test_every_kind_of_lab_is_refused_on_the_command_line_while_a_run_uses_it(
    paths: LabPaths, target: str
):
    """`FRESH=1` of a rehearsal calls the same command."""
    state = paths.state.parents[1] / "firstlight" / target / "infra"
    state.mkdir(parents=True)
    environment = python_environment({"XDG_STATE_HOME": str(paths.state.parents[1])})
    argv = [sys.executable, "-m", f"lab.{target}", "down", "--cluster", "infra"]

    with cluster_lock(run_lock(state), "infra", SystemClock()):
        result = run(argv, timeout_s=CALL_S, env=environment, cwd=ROOT)

    assert result.exit_code == 1
    assert result.stderr.startswith(
        "cannot end the lab of infra: another run holds it\n  held by   "
    )
    assert f"process {os.getpid()}, since 20" in result.stderr
    assert state.is_dir()


def test_no_run_begins_while_a_lab_is_ended(paths: LabPaths):
    """Whatever `down` has removed by then, its lock is held until the end."""
    lock = run_lock(paths.state)
    refused = []

    def begin_a_run(_text: str) -> None:
        with pytest.raises(ClusterLocked) as caught, cluster_lock(lock, "infra", SystemClock()):
            pass
        refused.append(caught.value.message)

    down(paths, begin_a_run)

    assert not paths.state.exists()
    assert len(refused) == 1
    assert "cannot run on infra: another task holds it\n" in refused[0]
    assert "(end the lab of infra), since 20" in refused[0]
    with cluster_lock(lock, "infra", SystemClock()):
        pass


def test_what_a_killed_run_left_running_ends_with_the_lab(paths: LabPaths, sleepers: Sleepers):
    environment = {"PATH": os.environ["PATH"], RUN_MARK: str(paths.state)}
    orphan = subprocess.Popen(SLEEP, env=environment, start_new_session=True)
    sleepers.started.append(orphan)
    said: list[str] = []

    down(paths, said.append)

    assert orphan.wait(timeout=5) == -15
    assert "ended sleep, which an earlier run left running" in said


def test_ending_the_lab_of_another_checkout_says_whose_it_was(paths: LabPaths):
    paths.description.write_text(json.dumps({"checkout": "/srv/other"}))
    said: list[str] = []

    down(paths, said.append)

    assert said[0] == "the lab of infra belonged to the checkout /srv/other"
