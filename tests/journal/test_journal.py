"""The journal on a real disk: what is begun is there before it happens, and what cannot be read is never trusted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstlight.clock import SystemClock
from firstlight.errors import ClusterLocked
from firstlight.events import ActionBegun, ActionEnded, Bus, CriterionEnded, Observed, Verdict
from firstlight.journal import ClusterLock, Journal, read_history

BOOTSTRAP = "bootstrap etcd on cp-1 (127.0.0.1)"


def record(path: Path, *events: object) -> None:
    bus = Bus(SystemClock())
    with Journal(path) as journal:
        bus.add(journal.record)
        for event in events:
            bus.emit(event)  # type: ignore[arg-type]


def test_what_is_begun_is_on_the_disk_when_record_returns(tmp_path: Path):
    path = tmp_path / "journal.jsonl"
    bus = Bus(SystemClock())

    with Journal(path) as journal:
        bus.add(journal.record)
        bus.emit(ActionBegun("c", BOOTSTRAP, "no members"))
        during = path.read_text()

    assert json.loads(during)["action"] == BOOTSTRAP
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_was_only_seen_is_not_kept(tmp_path: Path):
    record(tmp_path / "j", Observed("c", "x", "seen", 1.0))

    assert (tmp_path / "j").read_text() == ""


def test_an_action_that_never_ended_is_named(tmp_path: Path):
    record(tmp_path / "j", ActionBegun("c", "one", ""), ActionEnded("c", "one", ok=True, elapsed_s=1), ActionBegun("c", "two", ""))

    assert read_history(tmp_path / "j").unfinished == ("two",)


def test_time_counts_from_the_first_action_of_this_clusters_bootstrap(tmp_path: Path):
    path = tmp_path / "j"
    record(path, ActionBegun("c", BOOTSTRAP, ""), ActionEnded("c", BOOTSTRAP, ok=True, elapsed_s=1), CriterionEnded("c", Verdict.MET, 1, 1))
    first = read_history(path)
    record(path, ActionBegun("c", BOOTSTRAP, "machines were reset"))
    second = read_history(path)

    assert first.first_action_at is not None
    assert second.first_action_at is not None
    assert first.first_action_at < second.first_action_at
    assert (first.met_at.keys(), second.met_at.keys()) == ({"c"}, set())


def test_a_failed_bootstrap_that_is_tried_again_is_the_same_bootstrap(tmp_path: Path):
    path = tmp_path / "j"
    record(path, ActionBegun("c", BOOTSTRAP, ""), ActionEnded("c", BOOTSTRAP, ok=False, elapsed_s=1))
    first = read_history(path).first_action_at
    record(path, ActionBegun("c", BOOTSTRAP, ""))

    assert read_history(path).first_action_at == first


@pytest.mark.parametrize("damage", [b"not json\n", b'{"at": "never", "event": "ActionBegun"}\n', b"[]\n", b"\xff\xfe\n", b'{"at": 1}\n'])
def test_a_damaged_journal_is_set_aside_with_the_reason(tmp_path: Path, damage: bytes):
    path = tmp_path / "journal.jsonl"
    record(path, ActionBegun("c", "one", ""))
    with path.open("ab") as file:
        file.write(damage)

    history = read_history(path)

    assert (history.entries, path.exists()) == ((), False)
    assert history.damage.startswith("the journal journal.jsonl was set aside as journal.damaged-1.jsonl: line 2 is not ours")
    assert (tmp_path / "journal.damaged-1.jsonl").read_bytes().endswith(damage)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_a_journal_cut_anywhere_keeps_its_whole_lines(tmp_path: Path, data: st.DataObject):
    path = tmp_path / "j"
    path.unlink(missing_ok=True)
    record(path, *(ActionBegun("c", f"action {number}", "") for number in range(4)))
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    os.truncate(path, cut)

    history = read_history(path)

    assert len(history.entries) == whole[:cut].count(b"\n")
    assert history.damage == ""
    # What is appended next must not continue the torn line.
    record(path, ActionBegun("c", "next", ""))
    assert read_history(path).entries[-1].data["action"] == "next"


def test_a_second_run_is_told_who_holds_the_cluster(tmp_path: Path):
    with (
        ClusterLock(tmp_path / "lock", "infra", SystemClock()),
        pytest.raises(ClusterLocked, match=rf"another run holds it\n  held by   .*process {os.getpid()}, since 20"),
    ):
        ClusterLock(tmp_path / "lock", "infra", SystemClock()).__enter__()


def test_a_run_that_was_killed_holds_nothing(tmp_path: Path):
    code = (
        "import os,signal,sys\nfrom pathlib import Path\nfrom firstlight.clock import SystemClock\nfrom firstlight.journal import ClusterLock\n"
        f"ClusterLock(Path({str(tmp_path / 'lock')!r}), 'infra', SystemClock()).__enter__()\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)

    assert '"pid"' in (tmp_path / "lock").read_text()
    with ClusterLock(tmp_path / "lock", "infra", SystemClock()):
        assert f'"pid": {os.getpid()}' in (tmp_path / "lock").read_text()
