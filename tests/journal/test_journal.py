"""The journal on a real disk.

The start of an action is written before the action, and nothing damaged is trusted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta
from functools import cache
from itertools import takewhile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from firstlight.clock import SteadyClock, SystemClock, Uptime
from firstlight.errors import JournalUnwritable
from firstlight.events import (
    DONE_BEFORE,
    ActionBegun,
    ActionEnded,
    Bus,
    CriterionEnded,
    Observed,
    Verdict,
)
from firstlight.journal import BootstrapRecord, Journal, read_history

BOOTSTRAP = "bootstrap etcd on cp-1 (127.0.0.1)"


def record(path: Path, *events: object) -> None:
    bus = Bus(SystemClock())
    with Journal(path) as journal:
        bus.add(journal.record)
        for event in events:
            bus.emit(event)  # type: ignore[arg-type]


def assert_same(one: datetime | None, other: datetime | None) -> None:
    """Compare times from two clocks, which are read one after the other."""
    assert one is not None
    assert other is not None
    assert abs(one - other) < timedelta(milliseconds=5)


def test_an_event_is_on_disk_when_record_returns(tmp_path: Path):
    path = tmp_path / "journal.jsonl"
    bus = Bus(SystemClock())

    with Journal(path) as journal:
        bus.add(journal.record)
        bus.emit(ActionBegun("c", BOOTSTRAP, "no members"))
        during = path.read_text()

    assert json.loads(during)["action"] == BOOTSTRAP
    assert path.stat().st_mode & 0o777 == 0o600


def test_observations_are_not_written(tmp_path: Path):
    record(tmp_path / "j", Observed("c", "x", "seen", 1.0))

    assert (tmp_path / "j").read_text() == ""


def test_an_action_that_never_ended_is_unfinished(tmp_path: Path):
    record(
        tmp_path / "j",
        ActionBegun("c", "one", ""),
        ActionEnded("c", "one", ok=True, elapsed_s=1),
        ActionBegun("c", "two", ""),
    )

    assert read_history(tmp_path / "j").record.unfinished == ("two",)


def test_time_counts_from_the_first_action_of_this_clusters_bootstrap(tmp_path: Path):
    path = tmp_path / "j"
    record(
        path,
        ActionBegun("c", BOOTSTRAP, ""),
        ActionEnded("c", BOOTSTRAP, ok=True, elapsed_s=1),
        CriterionEnded("c", Verdict.MET, 1, 1),
    )
    first = read_history(path)
    record(
        path,
        ActionBegun("c", BOOTSTRAP, "machines were reset"),
        ActionEnded("c", BOOTSTRAP, ok=True, elapsed_s=1),
    )
    second = read_history(path)

    assert first.record.first_action_at is not None
    assert second.record.first_action_at is not None
    assert first.record.first_action_at < second.record.first_action_at
    assert (first.record.met_at.keys(), second.record.met_at.keys()) == ({"c"}, set())


def test_retrying_a_failed_bootstrap_continues_the_same_bootstrap(tmp_path: Path):
    path = tmp_path / "j"
    record(
        path, ActionBegun("c", BOOTSTRAP, ""), ActionEnded("c", BOOTSTRAP, ok=False, elapsed_s=1)
    )
    first = read_history(path).record.first_action_at
    record(path, ActionBegun("c", BOOTSTRAP, ""))

    assert_same(read_history(path).record.first_action_at, first)


def test_a_bootstrap_that_was_done_before_does_not_begin_a_new_one(tmp_path: Path):
    """A run is killed after the machines accepted the bootstrap and before etcd lists a member.

    The next run bootstraps again and is refused.
    """
    path = tmp_path / "j"
    record(
        path,
        ActionBegun("c", BOOTSTRAP, ""),
        ActionEnded("c", BOOTSTRAP, ok=True, elapsed_s=1, detail="accepted"),
    )
    first = read_history(path).record.first_action_at
    record(
        path,
        ActionBegun("c", BOOTSTRAP, ""),
        ActionEnded("c", BOOTSTRAP, ok=True, elapsed_s=1, detail=DONE_BEFORE),
    )

    assert_same(read_history(path).record.first_action_at, first)


def test_a_new_cluster_is_recognized_even_if_the_end_of_the_first_bootstrap_was_not_recorded(
    tmp_path: Path,
):
    path = tmp_path / "j"
    record(path, ActionBegun("c", BOOTSTRAP, ""))
    record(
        path,
        ActionBegun("c", BOOTSTRAP, ""),
        ActionEnded("c", BOOTSTRAP, ok=True, elapsed_s=1, detail=DONE_BEFORE),
    )
    first = read_history(path).record.first_action_at
    record(
        path,
        ActionBegun("c", BOOTSTRAP, "machines were reset"),
        ActionEnded("c", BOOTSTRAP, ok=True, elapsed_s=1, detail="accepted"),
    )

    again = read_history(path).record.first_action_at
    assert first is not None
    assert again is not None
    assert again > first


@pytest.mark.parametrize(
    "damage",
    [
        b"not json\n",
        b'{"at": "never", "event": "ActionBegun"}\n',
        b"[]\n",
        b"\xff\xfe\n",
        b'{"at": 1}\n',
    ],
)
def test_a_damaged_journal_is_set_aside_with_the_reason_and_its_intact_lines_are_kept(
    tmp_path: Path, damage: bytes
):
    path = tmp_path / "journal.jsonl"
    record(path, ActionBegun("c", "one", ""))
    intact = path.read_bytes()
    with path.open("ab") as file:
        file.write(damage)

    history = read_history(path)

    assert [event.action for _, event in history.events] == ["one"]
    assert history.damage == (
        "the journal journal.jsonl was set aside as journal.damaged-1.jsonl: "
        "line 2 was changed after it was written; "
        "what follows is not trusted, the line before it is"
    )
    assert (tmp_path / "journal.damaged-1.jsonl").read_bytes() == intact + damage
    assert path.read_bytes() == intact
    assert {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == dict.fromkeys(
        (path.name, "journal.damaged-1.jsonl"), 0o600
    )


def test_reading_without_repair_leaves_a_damaged_journal_unchanged(tmp_path: Path):
    path = tmp_path / "journal.jsonl"
    record(path, ActionBegun("c", "one", ""))
    for damage in (b"half a li", b"ne\n"):
        with path.open("ab") as file:
            file.write(damage)
        content = path.read_bytes()

        history = read_history(path, repair=False)

        assert history.damage
        assert (path.read_bytes(), [each.name for each in tmp_path.iterdir()]) == (
            content,
            [path.name],
        )


ACTIONS = tuple(f"action {number}" for number in range(4))


@cache
def some_journal() -> bytes:
    """Return the same journal for every example; a new one would differ in its timestamps."""
    with tempfile.TemporaryDirectory() as folder:
        record(Path(folder) / "j", *(ActionBegun("c", action, "") for action in ACTIONS))
        return (Path(folder) / "j").read_bytes()


def written(path: Path) -> bytes:
    for each in path.parent.glob("j*"):
        each.unlink()
    path.write_bytes(some_journal())
    return some_journal()


def trusted(path: Path, whole: bytes, *, up_to: int) -> None:
    """Assert that only the lines before a place are read, and that a new line can follow."""
    history = read_history(path)
    assert (
        tuple(event.action for _, event in history.events) == ACTIONS[: whole[:up_to].count(b"\n")]
    )

    # The next line must not continue a damaged one.
    record(path, ActionBegun("c", "next", ""))
    again = read_history(path)
    assert (again.events[-1][1].action, again.damage) == ("next", "")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_truncated_journal_keeps_its_complete_lines_and_reports_the_rest(
    tmp_path: Path, data: st.DataObject
):
    path = tmp_path / "j"
    whole = written(path)
    cut = data.draw(st.integers(0, len(whole)))
    os.truncate(path, cut)
    at_a_line_end = cut == 0 or whole[cut - 1 : cut] == b"\n"

    damage = read_history(path, repair=False).damage

    assert damage.startswith("the journal j ends with an incomplete line") is not at_a_line_end
    trusted(path, whole, up_to=cut)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_changed_byte_is_detected(tmp_path: Path, data: st.DataObject):
    path = tmp_path / "j"
    whole = written(path)
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])

    damage = read_history(path, repair=False).damage

    assert damage
    trusted(path, whole, up_to=place)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_lost_moved_or_duplicated_block_is_detected(tmp_path: Path, data: st.DataObject):
    """A disk loses a block, an editor moves a line, a backup is appended to its original."""
    path = tmp_path / "j"
    whole = written(path)
    start, end = sorted(
        (data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, len(whole))))
    )
    put_back = data.draw(st.integers(0, len(whole)))
    rest = whole[:start] + whole[end:]
    damaged = (
        rest[:put_back]
        + data.draw(st.sampled_from([b"", whole[start:end], whole[start:end] * 2]))
        + rest[put_back:]
    )
    assume(not whole.startswith(damaged))
    path.write_bytes(damaged)

    damage = read_history(path, repair=False).damage

    assert damage
    trusted(
        path,
        whole,
        up_to=len(
            list(takewhile(lambda pair: pair[0] == pair[1], zip(whole, damaged, strict=False)))
        ),
    )


def test_setting_the_clock_between_runs_does_not_change_how_long_ago_an_event_was(
    tmp_path: Path,
):
    path = tmp_path / "j"
    record(path, ActionBegun("c", "one", ""), CriterionEnded("c", Verdict.MET, 1, 1))
    (begun, _) = map(json.loads, path.read_text().splitlines())

    for jump in (timedelta(days=-400), timedelta(), timedelta(days=400)):
        # An hour later, by the clock that cannot be set.
        now = datetime.fromisoformat(begun["at"]) + timedelta(hours=1) + jump
        history = read_history(path, now=now, uptime=Uptime(begun["boot"], begun["up_s"] + 3600))

        assert history.record.first_action_at is not None
        elapsed_s = (now - history.record.first_action_at).total_seconds()
        assert elapsed_s == pytest.approx(3600, abs=0.01)
        assert history.record.met_at["c"] >= history.record.first_action_at


def test_after_a_reboot_times_follow_the_wall_clock(tmp_path: Path):
    path = tmp_path / "j"
    record(path, ActionBegun("c", "one", ""))
    (begun,) = map(json.loads, path.read_text().splitlines())

    history = read_history(path, uptime=Uptime("another boot", 5.0))

    assert history.record.first_action_at == datetime.fromisoformat(begun["at"])


def test_a_steady_clock_ignores_changes_to_the_machines_clock(monkeypatch: pytest.MonkeyPatch):
    class Jumped(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(1999, 1, 1, tzinfo=tz)

    clock = SteadyClock()
    before = clock.now()
    monkeypatch.setattr("firstlight.clock.datetime", Jumped)

    after = clock.now()

    assert SystemClock().now().year == 1999
    assert 0 <= (after - before).total_seconds() < 60


def test_a_line_that_does_not_fit_on_disk_is_not_left_half_written(tmp_path: Path):
    """A limit on the file's size simulates a full disk.

    The kernel writes a part of the line, then fails.
    """
    path = tmp_path / "journal.jsonl"
    code = f"""
import resource, signal
from pathlib import Path
from firstlight.clock import SystemClock
from firstlight.errors import JournalUnwritable
from firstlight.events import ActionBegun, ActionEnded, Bus
from firstlight.journal import Journal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
bus = Bus(SystemClock())
with Journal(Path({str(path)!r})) as journal:
    bus.add(journal.record)
    bus.emit(ActionBegun("c", "one", ""))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + 20, hard))
    try:
        bus.emit(ActionBegun("c", "two", ""))
    except JournalUnwritable as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    bus.emit(ActionEnded("c", "one", ok=True, elapsed_s=1))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.startswith(
        f"cannot write the journal {path}: File too large\n  next      free space"
    )
    history = read_history(path)
    assert [(type(event).__name__, event.action) for _, event in history.events] == [
        ("ActionBegun", "one"),
        ("ActionEnded", "one"),
    ]
    assert (history.damage, history.record.unfinished) == ("", ())


def test_an_unwritable_journal_is_an_error_before_anything_begins(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(
        JournalUnwritable,
        match=r"cannot write the journal .*/file/journal.jsonl: (Not a directory|File exists)",
    ):
        Journal(tmp_path / "file" / "journal.jsonl").__enter__()


def test_the_journal_gives_the_same_record_as_the_live_events(tmp_path: Path):
    """Decision 12: one fold reads the file and hears the live events."""
    path = tmp_path / "j"
    live = BootstrapRecord()
    bus = Bus(SystemClock())
    with Journal(path) as journal:
        bus.add(journal.record)
        bus.add(live.hear)
        for event in (
            ActionBegun("c", "generate configs", ""),
            ActionBegun("c", BOOTSTRAP, ""),
            ActionEnded("c", BOOTSTRAP, ok=True, elapsed_s=1),
            CriterionEnded("c", Verdict.MET, 1, 1),
            ActionBegun("d", BOOTSTRAP, "machines were reset"),
            ActionEnded("d", BOOTSTRAP, ok=True, elapsed_s=1),
            CriterionEnded("d", Verdict.MET, 1, 1),
            ActionBegun("e", "install cilium", ""),
        ):
            bus.emit(event)

    read = read_history(path).record

    assert_same(read.first_action_at, live.first_action_at)
    assert read.met_at.keys() == live.met_at.keys() == {"d"}
    assert read.unfinished == live.unfinished == ("install cilium",)
    assert read.was_bootstrapped
    assert live.was_bootstrapped
