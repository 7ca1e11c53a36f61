"""One process at a time changes a lab."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from firstlight.errors import TargetError
from lab.simulated.paths import LabPaths, lab_lock


class Clock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.at_s: dict[float, object] = {}

    def now(self) -> datetime:
        return datetime(2026, 11, 23, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.elapsed_s

    def sleep(self, seconds: float) -> None:
        self.elapsed_s += seconds


def test_a_second_change_waits_and_then_reports_who_holds_the_lab(paths: LabPaths):
    clock = Clock()

    with (
        lab_lock(paths, "bring up", clock),
        pytest.raises(TargetError) as caught,
        lab_lock(paths, "end", clock, wait_s=5),
    ):
        pass

    assert re.search(
        r"cannot end the lab of infra: another process has been changing it for more than 5 s\n"
        r"  held by   .*process \d+ \(bring up\), since ",
        str(caught.value),
    )
    assert 5 <= clock.elapsed_s < 6
