"""Processes run, end and are masked; tried on real ones."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from firstlight.errors import ToolMissing
from firstlight.failures import find
from firstlight.masking import MASK, Masker
from firstlight.process import (
    TERMINATE_WAIT_S,
    ToolFailed,
    ToolTimedOut,
    _signals_held_back,
    run,
)
from firstlight.run.retry import is_retried
from tests.waiting import until

PYTHON = sys.executable


def test_both_streams_and_the_exit_code_are_returned():
    result = run(
        [PYTHON, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"],
        timeout_s=20,
    )

    assert (result.exit_code, result.stdout, result.stderr, result.ok) == (
        3,
        "out\n",
        "err\n",
        False,
    )


def test_input_is_written_to_a_pipe():
    result = run([PYTHON, "-c", "print(input()[::-1])"], input="talos\n", timeout_s=20)

    assert result.stdout == "solat\n"


def test_a_child_that_never_reads_its_input_is_not_an_error():
    result = run([PYTHON, "-c", "pass"], input="x" * 1_000_000, timeout_s=20)

    assert result.ok


def test_both_streams_may_be_large():
    code = "import sys\nfor _ in range(20000):\n print('o'*50)\n print('e'*50, file=sys.stderr)"

    result = run([PYTHON, "-c", code], timeout_s=60)

    assert (len(result.stdout.splitlines()), len(result.stderr.splitlines())) == (20_000, 20_000)


def test_a_child_that_times_out_is_terminated_with_its_own_children(tmp_path: Path):
    pid_file = tmp_path / "pid"
    code = f"import subprocess,time\np=subprocess.Popen(['sleep','600'])\nopen({str(pid_file)!r},'w').write(str(p.pid))\ntime.sleep(600)"  # noqa: E501

    result = run([PYTHON, "-c", code], timeout_s=2)

    assert result.timed_out
    # It is nobody's child by now, so the kernel alone decides when it is gone.
    assert until(lambda: not _alive(int(pid_file.read_text())), within_s=5)
    with pytest.raises(ToolTimedOut, match="its time was up"):
        result.raise_on_failure("sleep")


def test_a_child_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("firstlight.process.TERMINATE_WAIT_S", 0.2)

    result = run(
        [
            PYTHON,
            "-c",
            "import signal,time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)",
        ],
        timeout_s=1,
    )

    assert (result.timed_out, result.exit_code) == (True, -signal.SIGKILL)


def test_an_interrupt_terminates_the_child(tmp_path: Path):
    pid_file = tmp_path / "pid"
    code = f"import os,sys,time\nopen({str(pid_file)!r},'w').write(str(os.getpid()))\nprint('up', flush=True)\ntime.sleep(600)"  # noqa: E501
    main = threading.main_thread().ident
    assert main is not None

    with pytest.raises(KeyboardInterrupt):
        run(
            [PYTHON, "-c", code],
            timeout_s=60,
            on_line=lambda _line: signal.pthread_kill(main, signal.SIGINT),
        )

    assert not _alive(int(pid_file.read_text()))


def test_a_second_interrupt_kills_a_child_that_is_slow_to_exit(tmp_path: Path):
    pid_file = tmp_path / "pid"
    code = "import os,signal,time\nsignal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))\n"  # noqa: E501
    code += f"open({str(pid_file)!r},'w').write(str(os.getpid()))\nprint('up', flush=True)\nwhile True: time.sleep(600)"  # noqa: E501
    main = threading.main_thread().ident
    assert main is not None
    lines: list[str] = []

    def interrupt(line: str) -> None:
        lines.append(line)
        signal.pthread_kill(main, signal.SIGINT)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run([PYTHON, "-c", code], timeout_s=60, on_line=interrupt)

    assert lines == ["up", "asked"]
    assert time.monotonic() - started < TERMINATE_WAIT_S
    assert not _alive(int(pid_file.read_text()))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_failing_listener_does_not_block_the_child():
    def broken(_line: str) -> None:
        raise OSError("the terminal is gone")

    result = run(
        [PYTHON, "-c", "for number in range(50_000): print('x' * 40)"], timeout_s=60, on_line=broken
    )

    assert result.ok
    assert len(result.stdout.splitlines()) == 50_000


def test_a_truncated_tool_counts_as_missing(tmp_path: Path):
    path = tmp_path / "talosctl"
    path.write_bytes(b"\x7fELF")
    path.chmod(0o755)

    with pytest.raises(ToolMissing, match=r"cannot find .*/talosctl: Exec format error"):
        run([path], timeout_s=5)


def test_secrets_are_masked_wherever_people_see_output():
    lines: list[str] = []

    result = run(
        [
            PYTHON,
            "-c",
            "import sys; print(sys.argv[1], file=sys.stderr); sys.exit(1)",
            "hunter2hunter2",
        ],
        timeout_s=20,
        mask=Masker(["hunter2hunter2"]),
        on_line=lines.append,
    )

    with pytest.raises(ToolFailed) as caught:
        result.raise_on_failure("log in")
    for text in (str(caught.value), repr(result), result.stderr, *result.output_tail, *lines):
        assert "hunter2" not in text
    assert lines


def test_a_missing_tool_is_reported_with_the_next_step():
    with pytest.raises(
        ToolMissing, match=r"cannot find no-such-tool: No such file.*\n.*\./task tools:setup"
    ):
        run(["no-such-tool"], timeout_s=5)


@pytest.mark.parametrize(
    ("tool", "said", "row", "retried"),
    [
        ("kubectl", "connection refused", "FL-025", True),
        ("kubectl", "error: no matching resources found", "FL-026", True),
        ("helm", "invalid ownership metadata", "FL-047", False),
        ("talosctl", "etcd data directory is not empty", "FL-001", False),
    ],
)
def test_a_failed_command_is_retried_as_its_row_says(tool: str, said: str, row: str, retried: bool):
    result = run([PYTHON, "-c", f"raise SystemExit({said!r})"], timeout_s=20)

    with pytest.raises(ToolFailed) as caught:
        replace(result, command=f"/opt/bin/{tool} get").raise_on_failure("ask")

    assert caught.value.row is find(row)
    assert is_retried(caught.value) is retried


def test_an_unknown_failure_is_not_retried():
    result = run([PYTHON, "-c", "raise SystemExit('never seen before')"], timeout_s=20)

    with pytest.raises(ToolFailed) as caught:
        replace(result, command="kubectl get").raise_on_failure("ask")

    assert caught.value.row is None
    assert not is_retried(caught.value)
    assert "never seen before" in str(caught.value)


def test_the_row_of_a_command_explains_any_failure_of_it_and_does_not_make_it_retried():
    result = run([PYTHON, "-c", "raise SystemExit('never seen before')"], timeout_s=20)

    with pytest.raises(ToolFailed) as caught:
        result.raise_on_failure("ask", row="FL-225")

    assert caught.value.row is find("FL-225")
    assert not is_retried(caught.value)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] not in "ZX"


def test_the_last_line_of_a_failure_is_from_standard_error(tmp_path: Path):
    """As in `talosctl version`, whose heading `Server:` may follow the error."""
    code = "import sys; print('why', file=sys.stderr, flush=True); open(sys.argv[2]).read(); print('Server:'); sys.exit(int(sys.argv[1]))"  # noqa: E501
    os.mkfifo(tmp_path / "read")

    def goes_on(line: str) -> None:
        if line == "why":
            (tmp_path / "read").write_text("")

    failed, well = (
        run([PYTHON, "-c", code, exit_code, str(tmp_path / "read")], timeout_s=20, on_line=goes_on)
        for exit_code in ("1", "0")
    )

    assert failed.output_tail == ("why", "Server:")
    assert failed.last_line == "why"
    assert ToolFailed(failed, "look").summary == "exit code 1: why"
    assert well.last_line == "Server:"


def test_a_failure_without_output_is_reported():
    result = run([PYTHON, "-c", "raise SystemExit(1)"], timeout_s=20)

    assert ToolFailed(result, "look").summary == "exit code 1: no answer"


class CountingMasker(Masker):
    """Counts its calls."""

    def __init__(self) -> None:
        self.asked = 0
        super().__init__(["hunter2-hunter2"])

    def __call__(self, text: str) -> str:
        self.asked += 1
        return super().__call__(text)


def test_only_the_visible_part_of_a_long_output_is_masked():
    """Masking all pods of 300 machines line by line took half a minute."""
    mask = CountingMasker()
    program = "for number in range(20_000): print(number, 'hunter2-hunter2')"

    result = run([sys.executable, "-c", program], timeout_s=60, mask=mask)

    assert result.stdout.count("\n") == 20_000
    assert result.output_tail[-1] == f"19999 {MASK}"
    assert mask.asked < 200


def test_the_lines_of_an_unknown_key_are_masked_in_the_tail():
    key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIAAAAAAAAAA\n-----END EC PRIVATE KEY-----"

    result = run([sys.executable, "-c", f"print({key!r}); print('done')"], timeout_s=60)

    assert result.output_tail == (MASK, MASK, MASK, "done")


def test_a_child_that_holds_the_pipe_and_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Both hold the pipe, so its end is seen only once both are gone."""
    monkeypatch.setattr("firstlight.process.TERMINATE_WAIT_S", 0.2)
    os.mkfifo(tmp_path / "never")
    os.mkfifo(tmp_path / "alive")
    alive = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    script = (
        f"exec 3>{tmp_path}/alive; echo begun >&3; "
        f"(trap '' TERM; read nothing <{tmp_path}/never) & wait"
    )

    result = run(["/bin/sh", "-c", script], timeout_s=1)

    assert result.ending.startswith("was ended, its time was up, after ")
    os.set_blocking(alive, True)
    assert os.read(alive, 100) == b"begun\n"
    assert os.read(alive, 100) == b""
    os.close(alive)


def test_a_signal_while_a_process_is_started_is_delivered_once_it_is_known():
    seen: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda *_: seen.append("delivered"))
    try:
        with _signals_held_back():
            signal.raise_signal(signal.SIGTERM)
            assert seen == []

        assert seen == ["delivered"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_caller_is_called_back_while_a_command_is_silent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("firstlight.process.TICK_S", 0.05)
    ticks: list[int] = []

    result = run(
        [PYTHON, "-c", "import signal; signal.pause()"],
        timeout_s=1,
        on_tick=lambda: ticks.append(1),
    )

    assert result.timed_out
    assert len(ticks) > 5


def test_a_file_descriptor_is_inherited_on_request(tmp_path: Path):
    with (tmp_path / "file").open("w") as file:
        code = f"import os; os.write({file.fileno()}, b'inherited')"

        assert not run([PYTHON, "-c", code], timeout_s=20).ok
        assert run([PYTHON, "-c", code], timeout_s=20, keep_open=(file.fileno(),)).ok

    assert (tmp_path / "file").read_text() == "inherited"


def test_the_tail_is_the_end_of_standard_error_if_there_is_any():
    code = "import sys; print('out'); print(sys.argv[1], end='', file=sys.stderr)"

    both = run([PYTHON, "-c", code, "one\ntwo\nthree"], timeout_s=20)
    out = run([PYTHON, "-c", code, ""], timeout_s=20)

    assert (both.tail(2), out.tail()) == ("two\nthree", "out")
