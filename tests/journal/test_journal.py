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
from firstlight.errors import ClusterLocked, JournalUnwritable
from firstlight.events import DONE_BEFORE, ActionBegun, ActionEnded, Bus, CriterionEnded, Observed, Verdict
from firstlight.journal import ClusterLock, Journal, read_history

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
    record(tmp_path / "j", ActionBegun("c", "one", ""), ActionEnded("c", "one", ok=True, elapsed_s=1), ActionBegun("c", "two", ""))

    assert read_history(tmp_path / "j").unfinished == ("two",)


def test_time_counts_from_the_first_action_of_this_clusters_bootstrap(tmp_path: Path):
    path = tmp_path / "j"
    record(path, ActionBegun("c", BOOTSTRAP, ""), ActionEnded("c", BOOTSTRAP, ok=True, elapsed_s=1), CriterionEnded("c", Verdict.MET, 1, 1))
    first = read_history(path)
    record(path, ActionBegun("c", BOOTSTRAP, "machines were reset"), ActionEnded("c", BOOTSTRAP, ok=True, elapsed_s=1))
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

    assert_same(read_history(path).first_action_at, first)


def test_a_bootstrap_that_was_found_to_be_done_begins_no_new_one(tmp_path: Path):
    """A run is killed when the machines have taken the bootstrap and etcd lists nobody yet: the next one bootstraps again, and is refused."""
    path = tmp_path / "j"
    record(path, ActionBegun("c", BOOTSTRAP, ""), ActionEnded("c", BOOTSTRAP, ok=True, elapsed_s=1, detail="accepted"))
    first = read_history(path).first_action_at
    record(path, ActionBegun("c", BOOTSTRAP, ""), ActionEnded("c", BOOTSTRAP, ok=True, elapsed_s=1, detail=DONE_BEFORE))

    assert_same(read_history(path).first_action_at, first)


def test_another_cluster_is_told_even_if_nobody_saw_the_first_ones_bootstrap_end(tmp_path: Path):
    path = tmp_path / "j"
    record(path, ActionBegun("c", BOOTSTRAP, ""))
    record(path, ActionBegun("c", BOOTSTRAP, ""), ActionEnded("c", BOOTSTRAP, ok=True, elapsed_s=1, detail=DONE_BEFORE))
    first = read_history(path).first_action_at
    record(path, ActionBegun("c", BOOTSTRAP, "machines were reset"), ActionEnded("c", BOOTSTRAP, ok=True, elapsed_s=1, detail="accepted"))

    again = read_history(path).first_action_at
    assert first is not None
    assert again is not None
    assert again > first


@pytest.mark.parametrize("damage", [b"not json\n", b'{"at": "never", "event": "ActionBegun"}\n', b"[]\n", b"\xff\xfe\n", b'{"at": 1}\n'])
def test_a_damaged_journal_is_set_aside_with_the_reason_and_what_is_intact_is_kept(tmp_path: Path, damage: bytes):
    path = tmp_path / "journal.jsonl"
    record(path, ActionBegun("c", "one", ""))
    intact = path.read_bytes()
    with path.open("ab") as file:
        file.write(damage)

    history = read_history(path)

    assert [entry.data["action"] for entry in history.entries] == ["one"]
    assert history.damage == (
        "the journal journal.jsonl was set aside as journal.damaged-1.jsonl: line 2 is not as it was written; "
        "what follows is not trusted, the 1 line before it is"
    )
    assert (tmp_path / "journal.damaged-1.jsonl").read_bytes() == intact + damage
    assert path.read_bytes() == intact
    assert {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == dict.fromkeys((path.name, "journal.damaged-1.jsonl"), 0o600)
