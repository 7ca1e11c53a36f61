"""One fold reads the journal and hears the live events, so both give the same record."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st

from firstlight.clock import Uptime
from firstlight.events import (
    DONE_BEFORE,
    ActionBegun,
    ActionEnded,
    ActionSkipped,
    Bus,
    CriterionEnded,
    Event,
    Verdict,
)
from firstlight.journal import BootstrapRecord, Journal, read_history
from tests.clocks import START, FakeClock

BOOTSTRAP = "bootstrap etcd on cp-1 (127.0.0.1)"
BOOT = "f3a0"
OTHER_BOOT = Uptime("11c2", 5.0)

Runs = list[list[Event]]

actions = st.sampled_from((BOOTSTRAP, BOOTSTRAP, "generate the machine configs", "install cilium"))
criteria = st.sampled_from(("etcd-runs", "cilium-runs", "flux-runs"))
details = st.sampled_from(("", "accepted", DONE_BEFORE, 'a "quoted" line\nand another'))

happening: st.SearchStrategy[Event] = st.one_of(
    st.builds(ActionBegun, criteria, actions, details),
    st.builds(ActionEnded, criteria, actions, st.booleans(), st.just(1.5), details),
    st.builds(ActionSkipped, criteria, actions),
    st.builds(CriterionEnded, criteria, st.sampled_from(Verdict), st.just(1.0), st.just(2.0)),
)


def bootstrapped(detail: str) -> list[Event]:
    return [
        ActionBegun("etcd-runs", BOOTSTRAP, ""),
        ActionEnded("etcd-runs", BOOTSTRAP, ok=True, elapsed_s=1.0, detail=detail),
        CriterionEnded("etcd-runs", Verdict.MET, 1.0, 2.0),
    ]


class Kernel:
    """The clocks of one boot; every event happens some seconds after the previous one."""

    def __init__(self) -> None:
        self.clock = FakeClock()

    def uptime(self) -> Uptime:
        return Uptime(BOOT, 100 + self.clock.seconds)


def run(path: Path, record: BootstrapRecord, kernel: Kernel, happened: list[Event]) -> None:
    """Let one run happen, on record in the journal and in a record that hears it live."""
    bus = Bus(kernel.clock)
    with Journal(path) as journal, patch.object(Uptime, "now", kernel.uptime):
        bus.add(journal.record)
        bus.add(record.hear)
        for one in happened:
            kernel.clock.seconds += 7
            bus.emit(one)


def assert_same(one: BootstrapRecord, other: BootstrapRecord) -> None:
    """Compare two records; their times may differ by milliseconds."""
    assert one.met_at.keys() == other.met_at.keys()
    assert one.unfinished == other.unfinished
    assert one.was_bootstrapped == other.was_bootstrapped
    for mine, its in (
        (one.first_action_at, other.first_action_at),
        *((one.met_at[name], other.met_at[name]) for name in one.met_at),
    ):
        assert (mine is None) == (its is None)
        assert distance(mine, its) < timedelta(milliseconds=5)


def distance(one: datetime | None, other: datetime | None) -> timedelta:
    return abs(one - other) if one is not None and other is not None else timedelta()


@example([bootstrapped("accepted"), bootstrapped("accepted")])
@example([bootstrapped("accepted"), bootstrapped(DONE_BEFORE)])
@example([bootstrapped("accepted"), bootstrapped("accepted")[:1], bootstrapped("accepted")])
@given(st.lists(st.lists(happening, max_size=8), min_size=1, max_size=4))
def test_a_journal_that_is_read_back_gives_the_record_that_heard_the_events_live(runs: Runs):
    live, kernel = BootstrapRecord(), Kernel()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        for happened in runs:
            run(path, live, kernel, happened)
            read = read_history(path, now=kernel.clock.now(), uptime=kernel.uptime()).record
            assert_same(read, live)
        after_reboot = read_history(path, uptime=OTHER_BOOT).record

    assert_same(after_reboot, live)


@given(st.lists(happening, max_size=10), st.lists(happening, max_size=10))
def test_a_resumed_run_gives_the_same_record_as_one_that_was_never_interrupted(
    before: list[Event], after: list[Event]
):
    live, kernel = BootstrapRecord(), Kernel()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        run(path, live, kernel, before)
        resumed = read_history(path, now=kernel.clock.now(), uptime=kernel.uptime()).record
        bus = Bus(kernel.clock)
        bus.add(live.hear)
        bus.add(resumed.hear)
        for one in after:
            kernel.clock.seconds += 7
            bus.emit(one)

    assert_same(resumed, live)


BEGUN, SKIPPED, OTHER = (
    ActionBegun("etcd-runs", BOOTSTRAP, ""),
    ActionSkipped("etcd-runs", BOOTSTRAP),
    ActionBegun("crds", "apply the CRDs", ""),
)


def heard(*happened: Event) -> BootstrapRecord:
    record = BootstrapRecord()
    clock = FakeClock()
    for one in happened:
        clock.seconds += 7
        record.add(clock.now(), one)
    return record


def test_a_bootstrap_that_no_run_began_is_noticed():
    assert heard(SKIPPED, OTHER).began_unrecorded
    assert heard(OTHER, SKIPPED).began_unrecorded
    assert not heard(BEGUN, SKIPPED, OTHER).began_unrecorded
    assert not heard(*bootstrapped("accepted"), SKIPPED, OTHER).began_unrecorded


def test_a_bootstrap_after_one_that_no_run_began_is_a_new_one_with_its_own_beginning():
    record = heard(SKIPPED, OTHER, *bootstrapped("accepted"))

    assert not record.began_unrecorded
    assert record.first_action_at == START + timedelta(seconds=21)
