"""Background processes: started once, found again, never confused with another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from firstlight.clock import SystemClock
from firstlight.errors import TargetError
from lab.simulated import processes, services
from lab.simulated.paths import LabPaths
from lab.simulated.services import Service

SLEEP = ("sleep", "300")
IGNORE_SIGTERM = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "w").close()
signal.pause()
"""
STUBBORN = (sys.executable, "-c", IGNORE_SIGTERM)


def start(
    paths: LabPaths, argv: tuple[str, ...] = SLEEP, name: str = "sleeper"
) -> processes.Daemon:
    return processes.start(paths, name, argv, {"PATH": os.environ["PATH"]}, stamp="one")


def test_a_started_process_is_found_again_with_its_stamp(paths: LabPaths):
    started = start(paths)

    assert processes.running(paths, "sleeper") == started
    assert os.getsid(started.pid) == started.pid
    assert processes.state_of(started.pid) == str(paths.state)


def test_a_killed_process_is_not_running(paths: LabPaths):
    started = start(paths)

    assert processes.end([started.pid], paths.state, terminate_s=5, kill_s=5) == ()
    assert processes.running(paths, "sleeper") is None


def test_a_reused_process_id_does_not_count(paths: LabPaths):
    started = start(paths)
    record = json.loads((paths.run / "sleeper.json").read_text())
    (paths.run / "sleeper.json").write_text(
        json.dumps({**record, "started": record["started"] - 1})
    )

    assert processes.running(paths, "sleeper") is None
    assert processes.state_of(started.pid) == str(paths.state)


@pytest.mark.parametrize("text", ["", "{", "[]"[:1]])
def test_a_damaged_record_counts_as_not_running(paths: LabPaths, text: str):
    (paths.run / "sleeper.json").write_text(text)

    assert processes.running(paths, "sleeper") is None


def test_a_process_without_the_mark_is_never_ended(paths: LabPaths):
    with subprocess.Popen(SLEEP, env={"PATH": os.environ["PATH"]}) as other:
        assert processes.end([other.pid], paths.state, terminate_s=5, kill_s=5) == ()
        assert other.poll() is None
        other.kill()


def test_a_process_that_ignores_sigterm_is_killed(paths: LabPaths):
    ready = paths.run / "stubborn.ready"
    started = start(paths, (*STUBBORN, str(ready)))
    service = Service("sleeper", STUBBORN, {}, ready, "one", ())
    services.wait_until_ready(paths, service, SystemClock())

    assert processes.end([started.pid], paths.state, terminate_s=0.1, kill_s=5) == ()
    assert processes.running(paths, "sleeper") is None


def test_the_output_of_a_process_is_in_its_log(paths: LabPaths):
    ready = paths.run / "talker.ready"
    script = (
        "import sys; print('out', flush=True); sys.stderr.write('err'); "
        f"open({str(ready)!r}, 'w').close()"
    )
    argv = (sys.executable, "-c", script)
    service = Service("talker", argv, {"PATH": os.environ["PATH"]}, ready, "one", ())

    services.begin(paths, service, lambda _text: None)
    services.wait_until_ready(paths, service, SystemClock())

    assert (paths.logs / "talker.log").read_text() == "out\nerr"


def test_a_service_that_ends_at_once_is_an_error_with_its_last_output(paths: LabPaths):
    argv = (sys.executable, "-c", "raise SystemExit('no such address')")
    service = Service(
        "broken", argv, {"PATH": os.environ["PATH"]}, paths.run / "broken.ready", "one", ()
    )
    services.begin(paths, service, lambda _text: None)

    with pytest.raises(
        TargetError, match=r"(?s)cannot start broken: it ended at once.*no such address"
    ):
        services.wait_until_ready(paths, service, SystemClock())


def test_a_service_that_is_never_ready_is_an_error_with_the_last_observation(paths: LabPaths):
    service = Service(
        "silent", SLEEP, {"PATH": os.environ["PATH"]}, paths.run / "silent.ready", "one", ()
    )
    services.begin(paths, service, lambda _text: None)

    with pytest.raises(
        TargetError,
        match=r"(?s)cannot start silent: not ready within 0 s.*last seen no silent.ready yet",
    ):
        services.wait_until_ready(paths, service, SystemClock(), budget_s=0)


def test_a_service_is_restarted_only_if_its_inputs_changed(paths: LabPaths):
    def service(stamp: str) -> Service:
        return Service(
            "sleeper", SLEEP, {"PATH": os.environ["PATH"]}, paths.run / "sleeper.ready", stamp, ()
        )

    services.begin(paths, service("one"), lambda _text: None)
    (paths.run / "sleeper.ready").touch()
    first = processes.running(paths, "sleeper")
    assert services.is_current(paths, service("one"))
    assert not services.is_current(paths, service("two"))
    services.begin(paths, service("two"), lambda _text: None)
    second = processes.running(paths, "sleeper")

    assert first is not None
    assert second is not None
    assert first.pid != second.pid
    assert processes.state_of(first.pid) == ""


def test_a_process_that_was_never_recorded_is_replaced(paths: LabPaths):
    lost = start(paths)
    (paths.run / "sleeper.json").unlink()

    services.begin(
        paths,
        Service("sleeper", SLEEP, {"PATH": os.environ["PATH"]}, paths.run / "x", "one", ()),
        lambda _text: None,
    )

    assert processes.is_zombie(lost.pid)
    assert processes.running(paths, "sleeper") is not None
