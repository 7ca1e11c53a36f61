"""One change of a lab at a time; a lock of the dead holds nobody up."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from firstlight.errors import TargetError
from lab.simulated.lock import holding
from lab.simulated.paths import LabPaths


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.at_s: dict[float, object] = {}

    def now(self) -> datetime:
        return datetime(2026, 11, 23, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.elapsed_s

    def sleep(self, seconds: float) -> None:
        self.elapsed_s += seconds


def test_a_second_change_waits_and_then_says_who_holds_the_lab(paths: LabPaths):
    clock = Clock()

    with (
        holding(paths, "bring up", clock),
        pytest.raises(TargetError) as caught,
        holding(paths, "end", clock, wait_s=5),
    ):
        pass

    assert re.search(
        r"cannot end the lab of infra: it is being changed, for more than 5 s\n  held by   process \d+ \(bring up\) since ",
        str(caught.value),
    )
    assert 5 <= clock.elapsed_s < 6


def test_the_lock_is_free_after_the_change(paths: LabPaths):
    for _ in range(2):
        with holding(paths, "bring up", Clock(), wait_s=0):
            pass


def test_a_lock_file_without_a_holder_holds_nobody_up(paths: LabPaths):
    paths.lock.write_text("process 1 (bring up) since yesterday")

    with holding(paths, "end", Clock(), wait_s=0):
        assert "yesterday" not in paths.lock.read_text()


def test_a_lock_that_was_removed_under_its_holder_does_not_let_two_in(paths: LabPaths):
    clock = Clock()
    with holding(paths, "end", clock, wait_s=0):
        paths.lock.unlink()
        with (
            holding(paths, "bring up", clock, wait_s=0),
            pytest.raises(TargetError),
            holding(paths, "third", clock, wait_s=0),
        ):
            pass
