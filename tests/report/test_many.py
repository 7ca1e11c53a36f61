"""A report of hundreds of machines stays small and fast, and still shows the one that failed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from firstlight.events import CommandEnded, CommandStarted
from firstlight.report import page
from firstlight.report.fold import COMMANDS_MAX, WAITS_MAX, Gathered, fold
from tests.report.many import CRITERIA, PER_MACHINE, run_on
from tests.report.writing import write_once

MACHINES = 300


def html_of(report) -> str:
    return page.above(report, "") + json.dumps(
        [page.row(one, report, "") for one in report.criteria]
    )


def test_evidence_of_many_machines_is_bounded_and_the_rest_is_counted():
    report = fold(run_on(MACHINES))

    for one in report.criteria[:PER_MACHINE]:
        assert (len(one.commands), one.commands_left_off) == (COMMANDS_MAX, MACHINES - COMMANDS_MAX)
        assert (len(one.waits), one.waits_left_off) == (WAITS_MAX, MACHINES - WAITS_MAX)
        assert (len(one.evidence), one.evidence_left_off) == (WAITS_MAX, MACHINES - WAITS_MAX)
        assert one.evidence[-1][0] == f"infra-worker-{MACHINES - 1} to answer on port 50000"
    said = html_of(report)
    assert f"{MACHINES - COMMANDS_MAX} more read-only commands that succeeded are not shown" in said
    assert f"{MACHINES - WAITS_MAX} more conditions that were met are not shown" in said


def test_an_entry_that_is_left_off_repeatedly_is_counted_once():
    gathered = Gathered()

    for command in [
        f"talosctl --nodes 10.25.8.{number} services" for number in range(COMMANDS_MAX + 40)
    ] * 3:
        gathered.hear(CommandStarted("one", command, changes=False), 0.0)
        gathered.hear(CommandEnded("one", command, 0, 0.1, (), changes=False), 0.1)

    one = gathered.result(CRITERIA[0], 1, "met", 1.0)
    assert (len(one.commands), one.commands_left_off) == (COMMANDS_MAX, 40)


def test_six_machines_leave_nothing_off():
    report = fold(run_on(6))

    assert {
        (one.commands_left_off, one.waits_left_off, one.evidence_left_off)
        for one in report.criteria
    } == {(0, 0, 0)}


@pytest.mark.parametrize("unwell", [0, 150, 299])
def test_the_one_unhealthy_machine_is_never_left_off(unwell: int):
    one = fold(run_on(MACHINES, unwell=unwell)).criteria[1]

    assert [wait.condition for wait in one.waits if not wait.ok] == [
        f"infra-worker-{unwell} to answer on port 50000"
    ]
    assert [command.tail for command in one.commands if command.exit_code] == [
        ("rpc error: connection refused",)
    ]


def test_fifty_times_as_many_machines_make_the_files_less_than_three_times_as_large(tmp_path: Path):
    sizes = {}
    for machines in (6, MACHINES):
        writer = write_once(tmp_path / str(machines), run_on(machines))
        sizes[machines] = {
            path.name: path.stat().st_size for path in (tmp_path / str(machines)).iterdir()
        }
        sizes[machines]["report.html"] = len(html_of(writer.report()))

    assert sizes[MACHINES]["report.html"] < 2_000_000
    assert all(sizes[MACHINES][name] < 3 * sizes[6][name] for name in sizes[6]), sizes


def test_a_page_of_hundreds_of_machines_renders_quickly():
    report = fold(run_on(MACHINES))
    started_s = time.process_time()

    html_of(report)

    # It takes 0.07 s, and is rendered 70 times in a run.
    assert time.process_time() - started_s < 1.0
