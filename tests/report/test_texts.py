"""Durations, printable text, and the last lines of a run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.formatting import budget_text, duration_text
from firstlight.printable import printable
from firstlight.report import fold, summary_lines
from tests.report import streams


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (0.004, "0 s"),
        (0.42, "0.42 s"),
        (0.999, "1.0 s"),
        (7.34, "7.3 s"),
        (59.9, "59.9 s"),
        (59.96, "1 m 00 s"),
        (843, "14 m 03 s"),
        (3599.6, "1 h 00 m"),
        (3725, "1 h 02 m"),
    ],
)
def test_a_duration_is_written_as_people_write_it(seconds, said):
    assert duration_text(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(1800, "30 m"), (90, "90 s"), (60, "60 s"), (120, "2 m"), (0, "0 s")]
)
def test_a_budget_has_no_needless_digits(seconds, said):
    assert budget_text(seconds) == said


def test_printable_removes_colors_titles_and_bells_and_keeps_text():
    assert printable("\x1b[1;31mred\x1b[0m\x1b]0;title\x07 a\tb\nc\r\x07 é") == "red a\tb\nc é"


@given(st.text())
def test_printable_text_never_holds_an_escape(raw):
    assert not set(printable(raw)) & {"\x1b", "\x00", "\x07", "\r", "\x9b"}


def test_the_last_lines_of_a_failed_run_state_failure_counts_criteria_and_time():
    assert summary_lines(fold(streams.failed_action())) == (
        "action failed: Cilium is deployed with cluster.id 1",
        "met 5, already met 2, action failed 1, not reached 9",
        (
            "AC1 met (8.4 s) | AC2 met (11.5 s) | AC3 failed (19.4 s) | AC4 not reached | "
            "AC5 not reached | AC6 failed (12.0 s) | AC7 not reached"
        ),
        "39.3 s since the start of this run, of 30 m",
    )


def test_the_last_lines_of_a_rehearsal_state_what_it_cannot_show():
    lines = summary_lines(fold(streams.rehearsed()))

    assert lines[0] == "done: 14 of 17 criteria met; 3 not verifiable on target simulated"
    assert "AC6 met, 2 not verifiable here (8.5 s)" in lines[2]
    assert lines[3].startswith("ready after 1 m 33 s, verified after 1 m 53 s of 30 m")


def test_the_last_lines_of_a_plan_list_its_actions_and_no_time():
    lines = summary_lines(fold(streams.plan()))

    assert len(lines) == 3 + 6
    assert lines[1].startswith("1. ")
