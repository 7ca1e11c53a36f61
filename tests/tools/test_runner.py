"""The runner emits events for every start and end of a command, without secrets."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

import pytest

from firstlight.errors import ToolMissing
from firstlight.events import Bus, CommandEnded, CommandOutput, CommandStarted, Event
from firstlight.tools.runner import TAIL_LINES, Runner
from tests.clocks import FakeClock

SECRET = "hunter2 hunter2"
ECHO = [sys.executable, "-c", "import sys; print(sys.argv[1]); print('there', file=sys.stderr)"]


class Heard:
    """A runner and its events."""

    def __init__(self, tmp_path: Path) -> None:
        self.events: list[Event] = []
        bus = Bus(FakeClock())
        bus.add(lambda stamped: self.events.append(stamped.event))
        self.runner = Runner(
            environment={"PATH": "/usr/bin:/bin", "GREETING": "hello"},
            root=tmp_path,
            bus=bus,
            criterion=lambda: "a-criterion",
        )

    def ended(self) -> CommandEnded:
        (event,) = [event for event in self.events if isinstance(event, CommandEnded)]
        return event


@pytest.fixture
def heard(tmp_path: Path) -> Heard:
    return Heard(tmp_path)


def test_start_and_end_of_a_command_have_the_same_command_line(heard: Heard):
    heard.runner.run([*ECHO, "two words"], timeout_s=20)

    started, ended = heard.events
    assert isinstance(started, CommandStarted)
    assert isinstance(ended, CommandEnded)
    assert started.command == ended.command
    assert started.command.endswith("'two words'")
    assert (started.criterion, ended.exit_code, ended.changes) == ("a-criterion", 0, False)


def test_output_of_an_action_is_reported_by_line_and_that_of_a_check_at_its_end(heard: Heard):
    heard.runner.run([*ECHO, "here"], timeout_s=20)
    assert not [event for event in heard.events if isinstance(event, CommandOutput)]

    heard.runner.run([*ECHO, "here"], timeout_s=20, changes=True)

    assert {event.line for event in heard.events if isinstance(event, CommandOutput)} == {
        "here",
        "there",
    }


def test_no_event_contains_a_secret(heard: Heard):
    heard.runner.mask_secrets(SECRET)

    result = heard.runner.run([*ECHO, SECRET], timeout_s=20, changes=True)

    assert SECRET in result.stdout
    assert "hunter2" not in "".join(str(event) for event in heard.events)


def test_quiet_output_is_not_reported_unless_the_command_fails(heard: Heard):
    """The output, 42, is not part of the command."""
    heard.runner.run([sys.executable, "-c", "print(6 * 7)"], timeout_s=20, changes=True, quiet=True)

    assert heard.ended().output_tail == ()
    assert "42" not in "".join(
        event.line for event in heard.events if isinstance(event, CommandOutput)
    )

    failing = Heard(Path("/"))
    failing.runner.run([sys.executable, "-c", "raise SystemExit('why')"], timeout_s=20, quiet=True)
    assert failing.ended().output_tail == ("why",)


def test_the_end_of_a_long_output_is_reported(heard: Heard):
    heard.runner.run(
        [sys.executable, "-c", "for number in range(100): print(number)"], timeout_s=20
    )

    assert heard.ended().output_tail == tuple(
        str(number) for number in range(100 - TAIL_LINES, 100)
    )


def test_a_command_that_timed_out_has_no_exit_code(heard: Heard):
    heard.runner.run(["sleep", "600"], timeout_s=0.2)

    assert heard.ended().exit_code is None


def test_a_missing_command_has_an_end(heard: Heard):
    with pytest.raises(ToolMissing):
        heard.runner.run(["no-such-tool"], timeout_s=5)

    assert (heard.ended().exit_code, heard.ended().output_tail) == (
        None,
        ("cannot find no-such-tool: No such file or directory (no-such-tool)",),
    )


def test_an_interrupted_command_has_an_end(heard: Heard):
    main = threading.main_thread().ident
    assert main is not None
    heard.runner._report_line = lambda *_: signal.pthread_kill(main, signal.SIGINT)  # type: ignore[method-assign]

    with pytest.raises(KeyboardInterrupt):
        heard.runner.run(
            [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"],
            timeout_s=60,
            changes=True,
        )

    assert (heard.ended().exit_code, heard.ended().output_tail) == (None, ("KeyboardInterrupt",))


def test_children_get_only_the_targets_environment(
    heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OURS", "secret")

    result = heard.runner.run(
        [
            sys.executable,
            "-c",
            "import os; print(os.environ.get('OURS'), os.environ['GREETING'], os.environ['MORE'], os.getcwd())",  # noqa: E501
        ],
        timeout_s=20,
        env={"MORE": "more"},
    )

    assert result.stdout.split() == ["None", "hello", "more", str(tmp_path)]
