"""Action that writes the timing of a bootstrap into the runbook, between its markers."""

from __future__ import annotations

from pathlib import Path

from firstlight.actions.action import Action
from firstlight.clock import Clock
from firstlight.errors import ActionFailed
from firstlight.files import write_atomically

BEGIN, END = "<!-- timings:begin -->", "<!-- timings:end -->"

HEAD = "| cluster | target | day (UTC) | ready after | verified after |\n|---|---|---|---|---|\n"


def write_timings(
    path: Path,
    cluster: str,
    target: str,
    ready_s: float | None,
    verified_s: float | None,
    clock: Clock,
) -> Action:
    """Write the timing of this bootstrap into the runbook's table.

    It replaces an earlier row of the same cluster and target.
    """
    key = f"| {cluster} | {target} |"
    times = f"{minutes(ready_s)} | {minutes(verified_s)} |"

    def need() -> str | None:
        row = next((line for line in _rows(path) if line.startswith(key)), "")
        return None if row.endswith(times) else f"{path.name} has no row for this run"

    def act() -> None:
        rows = sorted(
            [line for line in _rows(path) if not line.startswith(key)]
            + [f"{key} {clock.now():%Y-%m-%d} | {times}"]
        )
        before, _, rest = path.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        write_atomically(
            path,
            f"{before}{BEGIN}\n{HEAD}" + "".join(f"{row}\n" for row in rows) + f"{END}{after}",
            mode=0o644,
        )

    return Action(title=f"write the timing into {path.name}", need=need, act=act)


def minutes(seconds: float | None) -> str:
    """Return a duration in minutes and seconds (`14 m 03 s`)."""
    return "not yet" if seconds is None else f"{int(seconds) // 60} m {int(seconds) % 60:02d} s"


def _rows(path: Path) -> list[str]:
    """Return the table's rows.

    Raises:
        ActionFailed: The markers are missing.
    """
    text = path.read_text() if path.is_file() else ""
    if END not in text.partition(BEGIN)[2]:
        raise ActionFailed(
            f"cannot write the timing into {path}: it lacks the markers {BEGIN} and {END}"
        )
    table = text.partition(BEGIN)[2].partition(END)[0]
    return [
        line
        for line in table.splitlines()
        if line.startswith("| ") and not line.startswith("| cluster ")
    ]
