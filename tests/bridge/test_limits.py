"""Limits of the environment, with real files and processes.

Another run holds the cluster, a disk is full, a folder is not writable, a terminal disappears.
"""

from __future__ import annotations

import itertools
import json
import os
import pty
import select
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firstlight.checklist import Stage
from firstlight.run.engine import TEMPORARY_BYTES_MAX
from tests.bridge.tiny import HEAD, Tiny
from tests.waiting import until

BEGUN_S = 200
"""A tiny run begins its action within two seconds; with ten builds running, it once took sixty."""

LAMP = """
@pytest.fixture
def lamp_made(perform, request):
    perform({action})

@criterion(STAGE, AC1, title="there is a lamp", task=1, budget_s=30)
def test_there_is_a_lamp(lamp_made, wait):
    assert wait(exists("lamp"))
"""


def tiny_with(root: Path, action: str) -> Tiny:
    root.mkdir()
    return Tiny(root, {"test_10_first.py": LAMP.format(action=action)})


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return tiny_with(tmp_path / "tiny", "make('lamp')")


@pytest.fixture
def acting(tmp_path: Path) -> tuple[Tiny, Callable[..., subprocess.Popen[str]]]:
    """Return a tiny checklist and a function that starts a run and returns during its action."""
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


def recorded(tiny: Tiny) -> list[str]:
    return [line["event"] for line in tiny.journal()]


def test_a_second_run_is_refused_with_the_owner_of_the_first_and_leaves_it_undisturbed(
    acting: tuple[Tiny, Callable[..., subprocess.Popen[str]]],
):
    tiny, start = acting
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
    assert (done.code, recorded(tiny)) == (
        2,
        ["RunStarted", "ActionBegun", "ActionEnded", "RunEnded"],
    )


@pytest.mark.parametrize(
    "pid", [1, os.getpid(), 4194305], ids=["of another user", "alive", "nonexistent"]
)
def test_the_content_of_a_lock_file_does_not_lock_the_cluster(tiny: Tiny, pid: int):
    """Only the kernel's lock counts.

    The process that has the process ID of a dead run by now is neither asked nor ended.
    """
    tiny.state.mkdir(parents=True)
    tiny.lock.write_text(
        json.dumps(
            {"owner": "carol", "host": "desk-3", "pid": pid, "since": "2026-11-23T07:32:00+00:00"}
        )
    )

    result = tiny.run()

    assert (result.code, result.verdicts) == (0, {"there-is-a-lamp": "met"}), result.output
    assert json.loads(tiny.lock.read_text())["pid"] not in (pid, None)


def on_small_disks(*places: tuple[Path, str]) -> list[str]:
    """Return a command prefix that mounts a small file system at each place.

    It works without root where user namespaces are allowed.
    """
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
        pytest.skip("only root can mount a small disk on this system")
    return words


def test_a_full_report_disk_is_reported_and_does_not_stop_the_run(tiny: Tiny):
    place = tiny.root / "reports" / "infra-nodes"
    place.mkdir(parents=True)

    result = tiny.run(within=on_small_disks((place, "32k")))

    assert result.code == 0, result.output
    assert (tiny.world / "lamp").exists()
    assert f"cannot write {place}/report.html: No space left on device" in result.output
    assert "no report of this run" in result.output
    assert " report: " not in result.output
    assert "Traceback" not in result.output


LIGHT = """
@pytest.fixture
def full_disk():
    # The few lines of the journal still fit into a file, a page does not.
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))

@criterion(STAGE, AC2, title="there is light", task=1, budget_s=30)
def test_there_is_light(full_disk):
    pass
"""
"""While this criterion runs, the disk fills up."""


def test_the_page_of_an_earlier_run_is_not_offered_as_the_report_of_this_one(tiny: Tiny):
    assert tiny.run().code == 0
    page = tiny.root / "reports" / "infra-nodes" / "report.html"
    earlier = page.read_bytes()
    (tiny.root / "bootstrap_tests" / "test_00_light.py").write_text(
        HEAD.format(stage=Stage.PREFLIGHT) + LIGHT
    )

    result = tiny.finish(tiny.start())

    assert result.code == 0, result.output
    assert page.read_bytes() == earlier
    assert f"cannot write {page}: File too large" in result.output
    assert "no report: reports/infra-nodes/report.html is of an earlier run" in result.output
    assert "✚ report: " not in result.output


def test_a_page_that_lacks_the_end_of_the_run_says_so(tiny: Tiny):
    (tiny.root / "bootstrap_tests" / "test_20_light.py").write_text(
        HEAD.format(stage=Stage.KUBERNETES) + LIGHT
    )

    result = tiny.finish(tiny.start())

    assert result.code == 0, result.output
    assert "report: reports/infra-nodes/report.html, without the end of this run" in result.output


def test_no_action_begins_while_the_journal_disk_is_full(tiny: Tiny):
    tiny.state.mkdir(parents=True)
    # Disks are filled in pages, and no page is left for the journal.
    filled = f'dd if=/dev/zero of={tiny.state}/other bs=4096 count=15 2>/dev/null; exec "$@"'

    result = tiny.run(within=[*on_small_disks((tiny.state, "60k")), "sh", "-c", filled, "sh"])

    assert result.code == 1, result.output
    assert (
        f"cannot write the journal {tiny.state}/journal.jsonl: No space left on device"
        in result.output
    )
    assert "next      free space" in result.output
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
    # When the action ends, the journal has no room left.
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill(stamped):
        if isinstance(stamped.event, ActionEnded):
            size = (run.target.state / "journal.jsonl").stat().st_size
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    run.bus.add_first(fill)
"""


def test_a_journal_disk_that_fills_up_during_an_action_is_reported_and_does_not_fail_the_run(
    tiny: Tiny,
):
    path = tiny.root / "bootstrap_tests" / "test_10_first.py"
    path.write_text(path.read_text() + FILLING)

    result = tiny.finish(tiny.start())

    assert (tiny.world / "lamp").exists()
    assert result.code == 0, result.output
    assert result.output.count("cannot write the journal") == 1
    assert recorded(tiny) == ["RunStarted", "ActionBegun"]

    path.write_text(path.read_text().replace(FILLING, ""))
    again = tiny.run()

    assert again.verdicts == {"there-is-a-lamp": "already met"}
    assert "an earlier run was killed while it was about to make lamp" in again.output


def test_an_unwritable_report_folder_is_refused_before_anything_is_touched(tiny: Tiny):
    """The folder's parent is a file, because root may write into every folder."""
    (tiny.root / "taken").write_text("")

    result = tiny.run("--report-dir", str(tiny.root / "taken" / "here"))

    assert result.code == pytest.ExitCode.USAGE_ERROR
    assert (
        f"cannot write the report into {tiny.root}/taken/here: Not a directory; "
        "choose another folder with --report-dir DIR" in result.output
    )
    assert not tiny.state.exists()
    assert list(tiny.world.iterdir()) == []


def link_loop(path: Path) -> None:
    path.symlink_to(path)


IN_ITS_PLACE = {
    "folder": (Path.mkdir, "it is a folder, not a file"),
    "pipe": (os.mkfifo, "it is a named pipe, not a file"),
    "device": (lambda path: path.symlink_to("/dev/null"), "it is a device, not a file"),
    "loop": (link_loop, "Too many levels of symbolic links"),
}
"""What may be in the place of the journal, and what is said about it."""


@pytest.mark.parametrize("words", [(), ("--plan",)], ids=["run", "plan"])
@pytest.mark.parametrize("kind", IN_ITS_PLACE)
def test_what_cannot_be_a_journal_is_refused_before_anything_is_touched(
    tiny: Tiny, kind: str, words: tuple[str, ...]
):
    make, seen = IN_ITS_PLACE[kind]
    journal = tiny.state / "journal.jsonl"
    tiny.state.mkdir(parents=True)
    make(journal)

    result = tiny.run(*words)

    assert result.code == pytest.ExitCode.USAGE_ERROR, result.output
    assert f"ERROR: cannot use the journal {journal}: {seen}" in result.output
    assert "only the times of the bootstrap are lost" in result.output
    assert "Traceback" not in result.output
    assert [path.name for path in tiny.state.parent.iterdir()] == ["infra"]
    assert [path.name for path in tiny.state.iterdir()] == ["journal.jsonl"]
    assert list(tiny.world.iterdir()) == []
    assert not list(tiny.root.glob("reports/*/report.html"))


@pytest.mark.skipif(os.getuid() == 0, reason="root may read every file")
def test_a_journal_that_this_user_may_not_read_is_refused(tiny: Tiny):
    tiny.state.mkdir(parents=True)
    (tiny.state / "journal.jsonl").touch(mode=0)

    result = tiny.run()

    assert result.code == pytest.ExitCode.USAGE_ERROR, result.output
    assert "journal.jsonl: Permission denied" in result.output
    assert "next      let this user read and write it" in result.output


@pytest.mark.parametrize("kind", ["folder", "loop"])
@pytest.mark.parametrize("words", [(), ("--plan",)], ids=["run", "plan"])
def test_what_cannot_be_a_lock_is_an_error(tiny: Tiny, kind: str, words: tuple[str, ...]):
    tiny.state.mkdir(parents=True)
    IN_ITS_PLACE[kind][0](tiny.lock)

    result = tiny.run(*words)

    assert result.code == 1, result.output
    assert f"cannot lock infra: {tiny.lock}: " in result.output
    assert "Traceback" not in result.output


def test_an_unwritable_state_folder_is_an_error_and_nothing_begins(tiny: Tiny):
    (tiny.root / "state").write_text("")

    result = tiny.run()

    assert result.code == 1, result.output
    assert "cannot lock infra" in result.output
    assert list(tiny.world.iterdir()) == []
    assert "Traceback" not in result.output


def test_a_run_continues_if_nothing_reads_its_output(tiny: Tiny):
    """As in `./task rehearse | head -1`."""
    reading, writing = os.pipe()
    process = tiny.start(stdout=writing)
    os.close(writing)
    os.close(reading)

    result = tiny.finish(process)

    assert (result.code, result.verdicts) == (0, {"there-is-a-lamp": "met"})
    assert recorded(tiny)[-1] == "RunEnded"


def test_a_run_continues_if_its_terminal_disappears_without_a_signal(tiny: Tiny):
    """The pseudo-terminal is closed from its other end.

    It is not the run's controlling terminal, so the kernel sends no signal.
    """
    master, slave = pty.openpty()
    process = tiny.start(stdout=slave)
    os.close(slave)
    assert select.select([master], [], [], BEGUN_S)[0]
    os.close(master)

    result = tiny.finish(process)

    assert (result.code, result.verdicts) == (0, {"there-is-a-lamp": "met"})
    assert recorded(tiny)[-1] == "RunEnded"


def test_repeated_ctrl_c_hurries_the_end_of_a_run_and_keeps_its_report_intact(
    acting: tuple[Tiny, Callable[..., subprocess.Popen[str]]],
):
    tiny, start = acting
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
    assert recorded(tiny)[-1] == "RunEnded"
    assert result.report["head"]["state"] == "interrupted"
    assert "to continue: ./task bootstrap CLUSTER=infra TARGET=nodes" in result.output
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
"""Leaves sockets that only the garbage collector finds, as libraries do after a broken connection.

It does so within criteria, between them and after them."""


def test_sockets_that_a_library_leaves_open_do_not_fail_a_run(tmp_path: Path):
    tiny = tiny_with(tmp_path / "tiny", "make('lamp')")
    (tiny.root / "bootstrap_tests" / "conftest.py").write_text(LEAKS)

    result = tiny.run()

    assert (result.code, result.verdicts) == (0, {"there-is-a-lamp": "met"})
    assert "Traceback" not in result.output
    assert "Warning" not in result.output


LATE_SIGNALS = """
import os
import signal

def pytest_sessionfinish():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(os.getpid(), number)
"""


def test_a_signal_after_the_last_criterion_changes_nothing(tmp_path: Path):
    tiny = tiny_with(tmp_path / "tiny", "make('lamp')")
    (tiny.root / "bootstrap_tests" / "conftest.py").write_text(LATE_SIGNALS)

    result = tiny.run()

    assert (result.code, result.verdicts) == (0, {"there-is-a-lamp": "met"})
    assert "report: reports/infra-nodes/report.html" in result.output


def test_closing_the_terminal_ends_the_run_cleanly(
    acting: tuple[Tiny, Callable[..., subprocess.Popen[str]]],
):
    """The kernel sends SIGHUP when the controlling terminal is closed.

    Output after that is lost.
    """
    tiny, start = acting
    master, slave = pty.openpty()
    process = start(within=("setsid", "--ctty", "--wait"), stdin=slave, stdout=slave)
    os.close(slave)
    os.read(master, 65536)
    os.close(master)

    result = tiny.finish(process)

    assert result.code == 2
    assert recorded(tiny) == ["RunStarted", "ActionBegun", "ActionEnded", "RunEnded"]
    assert result.report["head"]["state"] == "interrupted"


def test_nohup_is_respected(acting: tuple[Tiny, Callable[..., subprocess.Popen[str]]]):
    tiny, start = acting
    process = start(within=("nohup",))

    process.send_signal(signal.SIGHUP)
    (tiny.world / "lamp").write_text("made by hand")
    continues = select.select([process.stdout], [], [], 1) and process.poll() is None
    process.send_signal(signal.SIGTERM)
    result = tiny.finish(process)

    assert continues
    assert result.code == 2


SCRATCH = """
import tempfile

@pytest.fixture
def lamp_made(perform, runner):
    def act():
        made = [tempfile.mkdtemp(), runner.run(["mktemp", "-d"], timeout_s=10).stdout.strip()]
        (WORLD / "made").write_text("\\n".join(made))
        {then}

    perform(Action("make the lamp", lambda: "it is missing", act))

@criterion(STAGE, AC1, title="there is a lamp", task=1, budget_s=30)
def test_there_is_a_lamp(lamp_made):
    pass
"""
"""Makes a temporary folder in the run, and one in a command of it."""


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path, like an operator's: pytest's own is too long for a socket."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def scratching(root: Path, then: str) -> Tiny:
    root.mkdir()
    return Tiny(root, {"test_10_first.py": SCRATCH.format(then=then)})


def test_temporary_files_of_a_run_and_of_its_tools_end_with_it(short: Path):
    tiny = scratching(short / "tiny", "")

    result = tiny.run()

    made = [Path(line) for line in (tiny.world / "made").read_text().splitlines()]
    assert result.code == 0, result.output
    assert [path.parent for path in made] == [tiny.state / "tmp"] * 2
    assert sorted(path.name for path in tiny.state.iterdir()) == ["journal.jsonl"]


def test_temporary_files_of_a_killed_run_are_removed_by_the_next_one(short: Path):
    tiny = scratching(short / "tiny", "import os; os.kill(os.getpid(), 9)")
    killed = tiny.finish(tiny.start())
    left = [Path(line) for line in (tiny.world / "made").read_text().splitlines()]
    assert killed.code == -9
    assert [path.is_dir() for path in left] == [True, True]

    path = tiny.root / "bootstrap_tests" / "test_10_first.py"
    path.write_text(path.read_text().replace("os.kill(os.getpid(), 9)", ""))
    again = tiny.run()

    assert again.code == 0, again.output
    assert [path.exists() for path in (*left, tiny.state / "tmp")] == [False] * 3


@pytest.mark.parametrize("kind", ["file", "link"])
def test_whatever_is_in_the_place_of_the_temporary_folder_is_replaced(short: Path, kind: str):
    tiny = scratching(short / "tiny", "")
    tiny.state.mkdir(parents=True)
    (tiny.root / "kept").mkdir()
    place = tiny.state / "tmp"
    place.write_text("") if kind == "file" else place.symlink_to(tiny.root / "kept")

    result = tiny.run()

    assert result.code == 0, result.output
    assert not os.path.lexists(place)
    assert (tiny.root / "kept").is_dir()


def test_tools_get_no_folder_whose_path_leaves_no_room_for_a_socket(tmp_path: Path):
    folder = tmp_path / ("a" * (TEMPORARY_BYTES_MAX - len(str(tmp_path))))
    folder.mkdir()
    tiny = scratching(folder / "tiny", "")

    result = tiny.run()

    mine, theirs = map(Path, (tiny.world / "made").read_text().splitlines())
    theirs.rmdir()
    assert result.code == 0, result.output
    assert mine.parent == tiny.state / "tmp"
    assert theirs.parent == Path(tempfile.gettempdir())


def test_a_plan_keeps_temporary_files_out_of_the_clusters_state(short: Path):
    text = SCRATCH.format(then="").replace('lambda: "it is missing", act', "lambda: act(), act")
    root = short / "tiny"
    root.mkdir()
    tiny = Tiny(root, {"test_10_first.py": text})

    result = tiny.run("--plan")

    made = [Path(line) for line in (tiny.world / "made").read_text().splitlines()]
    assert result.code == 0, result.output
    assert {path.parent.parent.name.startswith("firstlight-plan-") for path in made} == {True}
    assert [path.exists() for path in made] == [False, False]
    assert not tiny.state.exists()
