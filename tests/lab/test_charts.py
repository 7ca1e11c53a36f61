"""The charts of the lab's targets."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.errors import TargetError
from lab.docker.mirror import chart_folders
from tests.lab.support import ROOT


def test_the_docker_target_reports_a_missing_cilium_chart_with_a_remedy(tmp_path: Path):
    with pytest.raises(
        TargetError, match=r"cannot package Cilium's chart: .* does not hold it"
    ) as raised:
        chart_folders(ROOT, tmp_path)

    assert raised.value.next_step == "./task tools:setup"
