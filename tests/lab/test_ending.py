"""`down` ends marked processes and removes the lab's files, and nothing else, in any state."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from firstlight.process import run
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
