"""The charts of the docker target: Cilium's real one, from its Go module; for the rest the stand-ins, whose pods really run here."""

from __future__ import annotations

from pathlib import Path

from firstlight.errors import TargetError
from lab.simulated.charts import stand_ins

CILIUM = "cilium"


def folders(checkout: Path, tool_charts: Path) -> list[Path]:
    """Return the folders of the charts to package.

    Args:
        checkout: Where the stand-ins are.
        tool_charts: Where set-up has put the real chart.

    Raises:
        TargetError: Set-up has not.
    """
    real = tool_charts / CILIUM
    if not (real / "Chart.yaml").exists():
        raise TargetError(
            f"cannot package Cilium's chart: {real} holds none", next_step="./task tools:setup"
        )
    return [real, *(folder for folder in stand_ins(checkout) if folder.name != CILIUM)]
