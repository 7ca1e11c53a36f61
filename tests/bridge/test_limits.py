"""What is outside of us: another run, a full disk, a folder that is not ours, a terminal that goes away. Real files and processes."""

from __future__ import annotations

import itertools
import json
import os
import pty
import select
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bridge.tiny import Tiny
from tests.waiting import until

BEGUN_S = 200
"""A tiny run begins its action within two seconds; beside ten builds it has taken sixty."""

ROOM = """
@pytest.fixture
def lamp_made(perform, request):
    perform({action})

@criterion(STAGE, AC1, title="there is a lamp", task=1, budget_s=30)
def test_there_is_a_lamp(lamp_made, wait):
    assert wait(there("lamp"))
"""


def tiny_with(root: Path, action: str) -> Tiny:
    root.mkdir()
    return Tiny(root, {"test_10_first.py": ROOM.format(action=action)})


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return tiny_with(tmp_path / "tiny", "make('lamp')")


@pytest.fixture
def at_work(tmp_path: Path) -> tuple[Tiny, Callable[..., subprocess.Popen[str]]]:
    """A tiny cluster, and what starts a run on it that is in the middle of an action once it returns."""
    tiny = tiny_with(tmp_path / "tiny", "endless('lamp', request.getfixturevalue('runner'))")
    os.mkfifo(tiny.world / "pids")

    def start(**options: object) -> subprocess.Popen[str]:
        reading = os.open(tiny.world / "pids", os.O_RDONLY | os.O_NONBLOCK)
        process = tiny.start(**options)  # type: ignore[arg-type]
        try:
            if not select.select([reading], [], [], BEGUN_S)[0]:
                process.kill()
                pytest.fail(f"no action began: {process.communicate()[0]}")
            os.read(reading, 100)
        finally:
            os.close(reading)
        return process

    return tiny, start


def begun(tiny: Tiny) -> list[str]:
    return [line["event"] for line in tiny.journal()]


def test_a_second_run_is_told_who_is_at_work_and_takes_nothing_from_the_first(
    at_work: tuple[Tiny, Callable[..., subprocess.Popen[str]]],
):
    tiny, start = at_work
    first = start()
    report = (tiny.root / "reports" / "infra-nodes" / "report.json").read_text()

    second = tiny.run()
    second_plan = tiny.run("--plan")
    untouched = (tiny.root / "reports" / "infra-nodes" / "report.json").read_text() == report
    first.send_signal(signal.SIGINT)
    done = tiny.finish(first)

    for refused in (second, second_plan):
        assert refused.code == 1
        assert "cannot run on infra: another run holds it" in refused.output
        assert f"process {first.pid}, since 20" in refused.output
        assert "next      wait for it to end, or end it by its process id" in refused.output
    assert untouched
    assert (done.code, begun(tiny)) == (2, ["RunStarted", "ActionBegun", "ActionEnded", "RunEnded"])


@pytest.mark.parametrize(
    "pid", [1, os.getpid(), 4194305], ids=["another-users", "a-living-one", "none-at-all"]
)
def test_a_lock_file_holds_nothing_by_what_it_says(tiny: Tiny, pid: int):
    """Only the kernel's lock counts: whoever has the dead run's process id by now is not asked, and not ended."""
    tiny.state.mkdir(parents=True)
    (tiny.state / "run.lock").write_text(
        json.dumps(
            {"owner": "carol", "host": "desk-3", "pid": pid, "since": "2026-11-23T07:32:00+00:00"}
        )
    )

    result = tiny.run()

    assert (result.code, result.verdicts) == (0, {"there-is-a-lamp": "met"}), result.output
    assert json.loads((tiny.state / "run.lock").read_text())["pid"] not in (pid, None)


def on_small_disks(*places: tuple[Path, str]) -> list[str]:
    """Return the start of a command that has file systems of its own, each as small as said; root is not needed where user namespaces are allowed."""
    mounts = "".join(f"mount -t tmpfs -o size={size} tmpfs {place}\n" for place, size in places)
    words = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-ec",
        f'{mounts}exec "$@"',
        "sh",
    ]
    tried = subprocess.run([*words, "true"], capture_output=True, check=False, timeout=30)
    if tried.returncode:
        pytest.skip("this system lets nobody but root mount a small disk")
    return words


def test_a_disk_that_is_full_of_report_stops_no_bootstrap_and_is_said(tiny: Tiny):
    place = tiny.root / "reports" / "infra-nodes"
    place.mkdir(parents=True)

    result = tiny.run(within=on_small_disks((place, "32k")))

    assert result.code == 0, result.output
    assert (tiny.world / "lamp").exists()
    assert f"cannot write {place}/report.html: No space left on device" in result.output
    assert "Traceback" not in result.output


def test_a_disk_that_is_full_of_journal_begins_no_action(tiny: Tiny):
    tiny.state.mkdir(parents=True)
    # A page is the least; run.lock takes one, the journal's first line fits into the other.
    filled = f'dd if=/dev/zero of={tiny.state}/other bs=4096 count=14 2>/dev/null; exec "$@"'

    result = tiny.run(within=[*on_small_disks((tiny.state, "60k")), "sh", "-c", filled, "sh"])

    assert result.code == 1, result.output
    assert (
        f"cannot write the journal {tiny.state}/journal.jsonl: No space left on device"
        in result.output
    )
    assert "next      make room" in result.output
    assert not (tiny.world / "lamp").exists()
    assert "Traceback" not in result.output

    again = tiny.run()

    assert (again.code, again.verdicts) == (0, {"there-is-a-lamp": "met"})


FILLING = """
import os
from pathlib import Path
from firstlight.events import ActionEnded, CriterionEnded

@pytest.fixture(autouse=True, scope="session")
def full_disk(run):
    # What has ended is told to a journal that has no room left.
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill(stamped):
        if isinstance(stamped.event, ActionEnded):
            size = (run.target.state / "journal.jsonl").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    run.bus.add_first(fill)
"""


def test_what_has_ended_has_ended_though_no_room_is_left_to_say_so(tiny: Tiny):
    path = tiny.root / "bootstrap_tests" / "test_10_first.py"
    path.write_text(path.read_text() + FILLING)

    result = tiny.run()

    assert (tiny.world / "lamp").exists()
    assert result.code == 0, result.output
    assert result.output.count("cannot write the journal") == 1
    assert begun(tiny) == ["RunStarted", "ActionBegun"]

    path.write_text(path.read_text().replace(FILLING, ""))
    again = tiny.run()

    assert again.verdicts == {"there-is-a-lamp": "already met"}
    assert "an earlier run was cut off while it was about to make lamp" in again.output


def test_a_report_folder_that_cannot_be_written_is_refused_before_anything_is_touched(tiny: Tiny):
    """A file in its place: root may write into every folder, and into no file."""
    (tiny.root / "taken").write_text("")

    result = tiny.run("--report-dir", str(tiny.root / "taken" / "here"))

    assert result.code == pytest.ExitCode.USAGE_ERROR
    assert (
        f"cannot write the report into {tiny.root}/taken/here: Not a directory; give another folder with --report-dir DIR"
        in result.output
    )
    assert not tiny.state.exists()
    assert list(tiny.world.iterdir()) == []


def test_a_state_folder_that_cannot_be_written_is_an_error_and_nothing_is_begun(tiny: Tiny):
    (tiny.root / "state").write_text("")

    result = tiny.run()

    assert result.code == 1, result.output
    assert "cannot lock infra" in result.output
    assert list(tiny.world.iterdir()) == []
    assert "Traceback" not in result.output


def test_nobody_reads_what_is_printed_and_the_run_goes_on(tiny: Tiny):
    """As in `./task rehearse | head -1`."""
    reading, writing = os.pipe()
    process = tiny.start(stdout=writing)
    os.close(writing)
    os.close(reading)

    result = tiny.finish(process)

    assert (result.code, result.verdicts) == (0, {"there-is-a-lamp": "met"})
    assert begun(tiny)[-1] == "RunEnded"


def test_a_terminal_that_goes_away_without_a_word_stops_no_bootstrap(tiny: Tiny):
    """A pseudo-terminal whose other end is closed; it is not the run's controlling one, so nobody sends a signal."""
    master, slave = pty.openpty()
    process = tiny.start(stdout=slave)
    os.close(slave)
    assert select.select([master], [], [], BEGUN_S)[0]
    os.close(master)

    result = tiny.finish(process)

    assert (result.code, result.verdicts) == (0, {"there-is-a-lamp": "met"})
    assert begun(tiny)[-1] == "RunEnded"


def test_whoever_presses_ctrl_c_again_and_again_hurries_the_ending_and_spoils_nothing(
    at_work: tuple[Tiny, Callable[..., subprocess.Popen[str]]],
):
    tiny, start = at_work
    process = start()
    numbers = itertools.cycle((signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGHUP))

    over = until(
        lambda: process.send_signal(next(numbers)) or process.poll() is not None,
        within_s=60,
        pause_s=0.02,
    )
    result = tiny.finish(process)

    assert over
    assert result.code == 2, result.output
    assert begun(tiny)[-1] == "RunEnded"
    assert result.report["head"]["state"] == "interrupted"
    assert "to continue: ./task bootstrap:infra TARGET=nodes" in result.output
    assert "Traceback" not in result.output


LEAKS = """
import gc
import socket
import pytest

class Ring:
    def __init__(self):
        self.itself, self.socket = self, socket.socket()

def pytest_runtest_call():
    Ring()
    gc.collect()

def pytest_sessionfinish():
    Ring()

@pytest.hookimpl(wrapper=True)
def pytest_runtestloop():
    result = yield
    Ring()
    return result
"""
"""Sockets that nobody closes and only the garbage collector finds, within criteria, between and after them, as an aborted connection of some library's."""


def test_what_a_library_leaves_open_fails_no_bootstrap(tmp_path: Path):
    tiny = tiny_with(tmp_path / "tiny", "make('lamp')")
    (tiny.root / "bootstrap_tests" / "conftest.py").write_text(LEAKS)

    result = tiny.run()

    assert (result.code, result.verdicts) == (0, {"there-is-a-lamp": "met"})
    assert "Traceback" not in result.output
    assert "Warning" not in result.output


def test_a_signal_after_the_last_criterion_changes_nothing(tmp_path: Path):
    tiny = tiny_with(tmp_path / "tiny", "make('lamp')")
    late = "import os, signal\n\ndef pytest_sessionfinish():\n    [os.kill(os.getpid(), number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]\n"
    (tiny.root / "bootstrap_tests" / "conftest.py").write_text(late)

    result = tiny.run()

    assert (result.code, result.verdicts) == (0, {"there-is-a-lamp": "met"})
    assert "report: reports/infra-nodes/report.html" in result.output


def test_a_terminal_that_hangs_up_ends_the_run_in_order(
    at_work: tuple[Tiny, Callable[..., subprocess.Popen[str]]],
):
    """A real controlling terminal: its kernel sends SIGHUP when the window is closed, and what is printed after that goes nowhere."""
    tiny, start = at_work
    master, slave = pty.openpty()
    process = start(within=("setsid", "--ctty", "--wait"), stdin=slave, stdout=slave)
    os.close(slave)
    os.read(master, 65536)
    os.close(master)

    result = tiny.finish(process)

    assert result.code == 2
    assert begun(tiny) == ["RunStarted", "ActionBegun", "ActionEnded", "RunEnded"]
    assert result.report["head"]["state"] == "interrupted"


def test_nohup_is_heeded(at_work: tuple[Tiny, Callable[..., subprocess.Popen[str]]]):
    tiny, start = at_work
    process = start(within=("nohup",))

    process.send_signal(signal.SIGHUP)
    (tiny.world / "lamp").write_text("made by hand")
    still = select.select([process.stdout], [], [], 1) and process.poll() is None
    process.send_signal(signal.SIGTERM)
    result = tiny.finish(process)

    assert still
    assert result.code == 2
