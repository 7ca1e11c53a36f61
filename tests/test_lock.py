"""One process holds a lock; the kernel releases it, and everybody else learns who holds it."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from firstlight.clock import SystemClock
from firstlight.errors import ClusterLocked
from firstlight.lock import LockHeld, cluster_lock, locked, require_unlocked

HOLDER = """
import subprocess, sys
from pathlib import Path
from firstlight.lock import locked
with locked(Path(sys.argv[1]), doing="building") as descriptor:
    if sys.argv[2:]:
        words = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        subprocess.Popen(words, pass_fds=[descriptor])
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(path: Path, *words: str) -> subprocess.Popen[str]:
    """Start a process that holds the lock until its input ends; with a word, so does its child."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


class Clock:
    """A clock that moves only when somebody sleeps, and calls back then."""

    def __init__(self, on_sleep=lambda: None) -> None:
        self.elapsed_s = 0.0
        self.on_sleep = on_sleep

    def now(self) -> datetime:
        return datetime(2026, 11, 23, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.elapsed_s

    def sleep(self, seconds: float) -> None:
        self.elapsed_s += seconds
        self.on_sleep()


def test_a_lock_that_another_process_holds_is_waited_for(tmp_path: Path):
    lines: list[str] = []
    with hold(tmp_path / "lock") as holder:
        clock = Clock(on_sleep=lambda: holder.poll() is None and holder.communicate())

        with locked(tmp_path / "lock", wait_s=60, on_wait=lines.append, clock=clock):
            pass

    (line,) = lines
    assert re.fullmatch(
        rf"waiting for \S+ on \S+, process {holder.pid} \(building\), since 20.*", line
    )


def test_a_lock_is_not_waited_for_longer_than_allowed(tmp_path: Path):
    clock = Clock()
    with hold(tmp_path / "lock") as holder:
        with (
            pytest.raises(
                LockHeld, match=rf"still held after 5 s\n  held by   .*process {holder.pid} "
            ),
            locked(tmp_path / "lock", wait_s=5, clock=clock),
        ):
            pass
        holder.kill()

    assert 5 <= clock.elapsed_s < 6


def test_a_child_that_inherits_the_descriptor_keeps_the_lock_of_a_killed_process(tmp_path: Path):
    holder = hold(tmp_path / "lock", "with a child")
    holder.kill()
    holder.wait()
    with pytest.raises(LockHeld), locked(tmp_path / "lock"):
        pass

    # The child's standard input is the pipe that ends here.
    assert holder.stdin is not None
    holder.stdin.close()

    with locked(tmp_path / "lock", wait_s=30):
        pass
    assert holder.stdout is not None
    holder.stdout.close()


def test_the_lock_is_free_after_its_block(tmp_path: Path):
    for _ in range(2):
        with locked(tmp_path / "folder" / "lock"):
            pass


def test_a_lock_file_without_a_holder_blocks_nobody(tmp_path: Path):
    (tmp_path / "lock").write_text("process 1 since yesterday")

    with locked(tmp_path / "lock"):
        assert "yesterday" not in (tmp_path / "lock").read_text()


def test_a_lock_file_that_is_removed_while_held_does_not_let_two_in(tmp_path: Path):
    with locked(tmp_path / "lock"):
        (tmp_path / "lock").unlink()
        with locked(tmp_path / "lock"), pytest.raises(LockHeld), locked(tmp_path / "lock"):
            pass


class Removed:
    """A lock file that its holder removes after another process has opened it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, *, folder: bool) -> None:
        self.path = path
        self.folder = folder
        self.times = 0
        self._flock = fcntl.flock
        monkeypatch.setattr(fcntl, "flock", self)

    def __call__(self, descriptor: int, operation: int) -> None:
        if not self.times:
            self.path.unlink()
            if self.folder:
                self.path.parent.rmdir()
        self.times += 1
        self._flock(descriptor, operation)


@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_a_lock_that_was_removed_in_the_same_instant_is_taken_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: bool
):
    path = tmp_path / "state" / "lock"
    removed = Removed(path, monkeypatch, folder=folder)

    with locked(path), pytest.raises(LockHeld), locked(path):
        pass

    assert removed.times == 3


def test_a_lock_file_whose_folder_cannot_exist_is_an_error(tmp_path: Path):
    (tmp_path / "lock").symlink_to(tmp_path / "nowhere" / "lock")

    with pytest.raises(FileNotFoundError), locked(tmp_path / "lock"):
        pass


def test_a_run_learns_what_task_holds_the_cluster_and_a_task_which_run(tmp_path: Path):
    with (
        cluster_lock(tmp_path / "lock", "infra", SystemClock(), doing="end the lab of infra"),
        pytest.raises(ClusterLocked) as run,
        cluster_lock(tmp_path / "lock", "infra", SystemClock()),
    ):
        pass
    with (
        cluster_lock(tmp_path / "lock", "infra", SystemClock()),
        pytest.raises(ClusterLocked) as task,
        cluster_lock(tmp_path / "lock", "infra", SystemClock(), doing="end the lab of infra"),
    ):
        pass

    assert run.value.message.startswith("cannot run on infra: another task holds it\n  held by   ")
    assert f"process {os.getpid()} (end the lab of infra), since 20" in run.value.message
    assert task.value.message.startswith(
        "cannot end the lab of infra: another run holds it\n  held by   "
    )


def test_a_second_run_learns_who_holds_the_cluster(tmp_path: Path):
    with (
        cluster_lock(tmp_path / "lock", "infra", SystemClock()),
        pytest.raises(
            ClusterLocked,
            match=rf"another run holds it\n  held by   .*process {os.getpid()}, since 20",
        ),
        cluster_lock(tmp_path / "lock", "infra", SystemClock()),
    ):
        pass


def test_a_killed_run_holds_nothing(tmp_path: Path):
    holder = hold(tmp_path / "lock")
    holder.kill()
    holder.communicate()

    assert f'"pid": {holder.pid}' in (tmp_path / "lock").read_text()
    require_unlocked(tmp_path / "lock", "infra")
    with cluster_lock(tmp_path / "lock", "infra", SystemClock()):
        assert f'"pid": {os.getpid()}' in (tmp_path / "lock").read_text()


def test_the_lock_and_its_folder_are_private(tmp_path: Path):
    path = tmp_path / "state" / "run.lock"

    with cluster_lock(path, "infra", SystemClock()):
        modes = (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777)

    assert modes == (0o600, 0o700)


def test_a_check_creates_nothing(tmp_path: Path):
    require_unlocked(tmp_path / "state" / "run.lock", "infra")

    assert list(tmp_path.iterdir()) == []


def test_a_check_finds_the_holder(tmp_path: Path):
    with (
        cluster_lock(tmp_path / "lock", "infra", SystemClock()),
        pytest.raises(ClusterLocked, match="cannot run on infra: another run holds it"),
    ):
        require_unlocked(tmp_path / "lock", "infra")


def test_a_lock_file_that_cannot_be_created_is_reported(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(ClusterLocked, match=r"cannot lock infra: .*/file/run\.lock: ") as caught,
        cluster_lock(tmp_path / "file" / "run.lock", "infra", SystemClock()),
    ):
        pass

    assert caught.value.next_step.startswith("let this user write there: ls -ld ")
