"""The journal on a real disk: what is begun is there before it happens, and what cannot be read is never trusted."""

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
    """Moments are told by two clocks, which are not read at the very same time."""
    assert one is not None
    assert other is not None
    assert abs(one - other) < timedelta(milliseconds=5)


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


def test_a_failed_bootstrap_that_is_tried_again_is_the_same_bootstrap(tmp_path: Path):
    path = tmp_path / "j"
    record(
        path, ActionBegun("c", BOOTSTRAP, ""), ActionEnded("c", BOOTSTRAP, ok=False, elapsed_s=1)
    )
    first = read_history(path).record.first_action_at
    record(path, ActionBegun("c", BOOTSTRAP, ""))

    assert_same(read_history(path).record.first_action_at, first)


def test_a_bootstrap_that_was_found_to_be_done_begins_no_new_one(tmp_path: Path):
    """A run is killed when the machines have taken the bootstrap and etcd lists nobody yet: the next one bootstraps again, and is refused."""
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


def test_another_cluster_is_told_even_if_nobody_saw_the_first_ones_bootstrap_end(tmp_path: Path):
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
def test_a_damaged_journal_is_set_aside_with_the_reason_and_what_is_intact_is_kept(
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
        "the journal journal.jsonl was set aside as journal.damaged-1.jsonl: line 2 was changed after it was written; "
        "what follows is not trusted, the line before it is"
    )
    assert (tmp_path / "journal.damaged-1.jsonl").read_bytes() == intact + damage
    assert path.read_bytes() == intact
    assert {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == dict.fromkeys(
        (path.name, "journal.damaged-1.jsonl"), 0o600
    )


def test_who_only_looks_leaves_a_damaged_journal_as_it_is(tmp_path: Path):
    path = tmp_path / "journal.jsonl"
    record(path, ActionBegun("c", "one", ""))
    for damage in (b"half a li", b"ne\n"):
        with path.open("ab") as file:
            file.write(damage)
        content = path.read_bytes()

        history = read_history(path, mend=False)

        assert history.damage
        assert (path.read_bytes(), [each.name for each in tmp_path.iterdir()]) == (
            content,
            [path.name],
        )


ACTIONS = tuple(f"action {number}" for number in range(4))


@cache
def some_journal() -> bytes:
    """The same bytes for each example: stamps differ, and with them lengths."""
    with tempfile.TemporaryDirectory() as folder:
        record(Path(folder) / "j", *(ActionBegun("c", action, "") for action in ACTIONS))
        return (Path(folder) / "j").read_bytes()


def written(path: Path) -> bytes:
    for each in path.parent.glob("j*"):
        each.unlink()
    path.write_bytes(some_journal())
    return some_journal()


def trusted(path: Path, whole: bytes, *, up_to: int) -> None:
    """Assert that what is read is what was written before a place, and that the next line can be read after it."""
    history = read_history(path)
    assert (
        tuple(event.action for _, event in history.events)
        == ACTIONS[: whole[:up_to].count(b"\n")]
    )

    # What is appended next must not continue the damage.
    record(path, ActionBegun("c", "next", ""))
    again = read_history(path)
    assert (again.events[-1][1].action, again.damage) == ("next", "")


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None
)
@given(data=st.data())
def test_a_journal_cut_anywhere_keeps_its_whole_lines_and_says_what_is_gone(
    tmp_path: Path, data: st.DataObject
):
    path = tmp_path / "j"
    whole = written(path)
    cut = data.draw(st.integers(0, len(whole)))
    os.truncate(path, cut)
    at_an_end = cut == 0 or whole[cut - 1 : cut] == b"\n"

    said = read_history(path, mend=False).damage

    assert said.startswith("the journal j ends with an incomplete line") is not at_an_end
    trusted(path, whole, up_to=cut)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None
)
@given(data=st.data())
def test_no_changed_byte_goes_unseen(tmp_path: Path, data: st.DataObject):
    path = tmp_path / "j"
    whole = written(path)
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])

    said = read_history(path, mend=False).damage

    assert said
    trusted(path, whole, up_to=place)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None
)
@given(data=st.data())
def test_no_lost_moved_or_doubled_piece_goes_unseen(tmp_path: Path, data: st.DataObject):
    """A block that a disk lost, a line that an editor moved, a backup put after what it was taken from."""
    path = tmp_path / "j"
    whole = written(path)
    start, end = sorted(
        (data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, len(whole))))
    )
    put_back = data.draw(st.integers(0, len(whole)))
    rest = whole[:start] + whole[end:]
    spoilt = (
        rest[:put_back]
        + data.draw(st.sampled_from([b"", whole[start:end], whole[start:end] * 2]))
        + rest[put_back:]
    )
    assume(not whole.startswith(spoilt))
    path.write_bytes(spoilt)

    said = read_history(path, mend=False).damage

    assert said
    trusted(
        path,
        whole,
        up_to=len(
            list(takewhile(lambda pair: pair[0] == pair[1], zip(whole, spoilt, strict=False)))
        ),
    )


def test_a_clock_that_was_set_between_runs_does_not_change_how_long_ago_anything_was(
    tmp_path: Path,
):
    path = tmp_path / "j"
    record(path, ActionBegun("c", "one", ""), CriterionEnded("c", Verdict.MET, 1, 1))
    (begun, _) = map(json.loads, path.read_text().splitlines())

    for jump in (timedelta(days=-400), timedelta(), timedelta(days=400)):
        # An hour later, by the clock that nobody sets.
        now = datetime.fromisoformat(begun["at"]) + timedelta(hours=1) + jump
        history = read_history(path, now=now, uptime=Uptime(begun["boot"], begun["up_s"] + 3600))

        assert history.record.first_action_at is not None
        assert (now - history.record.first_action_at).total_seconds() == pytest.approx(3600, abs=0.01)
        assert history.record.met_at["c"] >= history.record.first_action_at


def test_after_a_reboot_the_wall_clock_is_all_there_is(tmp_path: Path):
    path = tmp_path / "j"
    record(path, ActionBegun("c", "one", ""))
    (begun,) = map(json.loads, path.read_text().splitlines())

    history = read_history(path, uptime=Uptime("another boot", 5.0))

    assert history.record.first_action_at == datetime.fromisoformat(begun["at"])


def test_a_steady_clock_is_not_moved_by_who_sets_the_machines(monkeypatch: pytest.MonkeyPatch):
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


def test_a_line_that_does_not_fit_on_the_disk_leaves_no_half_of_it(tmp_path: Path):
    """The limit of a file's size stands for a full disk: the kernel takes a part of the line, then refuses."""
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


def test_a_journal_that_cannot_be_written_is_an_error_before_anything_begins(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(
        JournalUnwritable,
        match=r"cannot write the journal .*/file/journal.jsonl: (Not a directory|File exists)",
    ):
        Journal(tmp_path / "file" / "journal.jsonl").__enter__()


def test_the_journal_gives_the_same_record_as_the_live_events(tmp_path: Path):
    """Decision 12: one fold, from disk and live."""
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
