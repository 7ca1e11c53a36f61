"""The timing table of the runbook has one row per cluster and target; the rest is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.actions.runbook import BEGIN, END, HEAD, minutes, write_timings
from firstlight.errors import ActionFailed
from tests.clocks import FakeClock
from tests.definitions import CHECKOUT

BEFORE, AFTER = "# Runbook\n\nText with | pipes | in it.\n\n", "\n\n## More\n"


@pytest.fixture
def runbook(tmp_path: Path) -> Path:
    path = tmp_path / "bootstrap.md"
    path.write_text(f"{BEFORE}{BEGIN}\n{HEAD}{END}{AFTER}")
    return path


def write(
    path: Path,
    ready_s: float | None,
    verified_s: float | None,
    cluster: str = "infra",
    target: str = "nodes",
):
    return write_timings(path, cluster, target, ready_s, verified_s, FakeClock())


def rows(path: Path) -> list[str]:
    return [
        line for line in path.read_text().splitlines() if line.startswith(("| infra", "| apps"))
    ]


def test_the_timing_is_written_between_the_markers_and_nothing_else_changes(runbook: Path):
    action = write(runbook, 843.4, 1122)

    assert action.need() == "bootstrap.md has no row for this run"
    action.act()

    assert runbook.read_text() == (
        f"{BEFORE}{BEGIN}\n{HEAD}| infra | nodes | 2026-11-23 | 14 m 03 s | 18 m "
        f"42 s |\n{END}{AFTER}"
    )
    assert runbook.stat().st_mode & 0o777 == 0o644


def test_a_second_run_has_nothing_to_write(runbook: Path):
    write(runbook, 843.4, 1122).act()

    assert write(runbook, 843.4, 1122).need() is None


def test_the_same_clusters_row_is_replaced_and_others_are_kept_in_order(runbook: Path):
    write(runbook, 100, 200).act()
    write(runbook, 60, 120, cluster="apps").act()
    write(runbook, 50, None).act()
    write(runbook, 70, 80, target="docker").act()

    assert rows(runbook) == [
        "| apps | nodes | 2026-11-23 | 1 m 00 s | 2 m 00 s |",
        "| infra | docker | 2026-11-23 | 1 m 10 s | 1 m 20 s |",
        "| infra | nodes | 2026-11-23 | 0 m 50 s | not yet |",
    ]


@pytest.mark.parametrize(
    "text",
    ["", "no markers", BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN} only"],
    ids=["empty", "none", "begin", "end", "in the wrong order", "half"],
)
def test_a_runbook_without_its_markers_is_left_alone(tmp_path: Path, text: str):
    path = tmp_path / "bootstrap.md"
    path.write_text(text)
    action = write(path, 1, 2)

    for do in (action.need, action.act):
        with pytest.raises(
            ActionFailed,
            match="it lacks the markers <!-- timings:begin --> and <!-- timings:end -->",
        ):
            do()
    assert path.read_text() == text


def test_a_missing_runbook_is_an_error(tmp_path: Path):
    with pytest.raises(ActionFailed, match="cannot write the timing into"):
        write(tmp_path / "bootstrap.md", 1, 2).need()


def test_the_projects_own_runbook_has_the_markers():
    assert (
        write(
            CHECKOUT / "docs" / "runbooks" / "bootstrap.md", 1.0, 2.0, cluster="no-such-cluster"
        ).need()
        == "bootstrap.md has no row for this run"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 m 00 s"), (59.9, "0 m 59 s"), (60, "1 m 00 s"), (3600, "60 m 00 s"), (None, "not yet")],
)
def test_a_duration_is_written_in_minutes_and_seconds(seconds: float | None, text: str):
    assert minutes(seconds) == text
