"""A command ends within its time, and nothing of it stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from firstlight.errors import FirstlightError
from firstlight.toolbox.filelock import locked
from firstlight.toolbox.process import _signals_held_back, run


def test_the_outcome_has_the_exit_code_and_both_streams():
    lines = []

    outcome = run(
        ["/bin/sh", "-c", "echo out; echo one >&2; echo two >&2; exit 3"],
        timeout_s=20,
        on_line=lines.append,
    )

    assert (outcome.code, outcome.stdout, outcome.stderr) == (3, "out\n", "one\ntwo\n")
    assert lines == ["one", "two"]
    assert not outcome.success


def test_a_command_that_takes_too_long_is_ended_with_its_children(tmp_path):
    os.mkfifo(tmp_path / "never")
    os.mkfifo(tmp_path / "alive")
    # Both hold the pipe and the child does not listen to SIGTERM, so its end is seen only once both are gone.
    alive = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    script = f"exec 3>{tmp_path}/alive; echo begun >&3; (trap '' TERM; read nothing <{tmp_path}/never) & wait"

    with pytest.raises(FirstlightError, match="still running after 1 s"):
        run(["/bin/sh", "-c", script], timeout_s=1)

    os.set_blocking(alive, True)
    assert os.read(alive, 100) == b"begun\n"
    assert os.read(alive, 100) == b""
    os.close(alive)


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(FirstlightError, match="cannot run /nowhere/tool"):
        run(["/nowhere/tool"], timeout_s=1)


def test_a_signal_while_a_process_is_started_comes_once_it_is_known():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda *_: seen.append("delivered"))
    try:
        with _signals_held_back():
            signal.raise_signal(signal.SIGTERM)
            assert seen == []

        assert seen == ["delivered"]
    finally:
        signal.signal(signal.SIGTERM, before)


HOLDER = (
    "import sys; from pathlib import Path; from firstlight.toolbox.filelock import locked\n"
    "with locked(Path(sys.argv[1]), print): print('held', flush=True); sys.stdin.read()\n"
)


def hold(path):
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    )
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_lock_that_another_process_holds_is_waited_for(tmp_path):
    path, said = tmp_path / "lock", []
    with hold(path) as holder:
        with locked(path, said.append, pause=lambda _: holder.communicate()):
            pass

        assert said == [f"waiting for process {holder.pid}, which is building the same"]


def test_a_lock_is_not_waited_for_forever(tmp_path):
    with hold(tmp_path / "lock") as holder:
        with (
            pytest.raises(
                FirstlightError, match=f"process {holder.pid} holds it for more than 0 s"
            ),
            locked(tmp_path / "lock", lambda _: None, wait_s=0, pause=lambda _: None),
        ):
            pass
        holder.kill()
