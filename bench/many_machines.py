"""Measure the cost of hundreds of machines: definition, report, and the output of one tool.

    python -m bench.many_machines [MACHINES...]

No machine is needed. Times are processor seconds, so other load on the computer does not count.
`tests/definition/test_large.py` and `tests/report/test_many.py` hold the bounds.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from firstlight.definition import load
from firstlight.definition.machineplan import plan_generation
from firstlight.masking import Masker
from firstlight.process import run
from firstlight.report import ReportWriter, page
from tests.large import lay_out
from tests.report.many import run_on

T = TypeVar("T")

LINES_PER_MACHINE = 1500
"""In `kubectl get pods --output json`: eight pods per machine, about two hundred lines each."""


def main(counts: list[int]) -> int:
    """Write one line of measurements for each number of machines."""
    sys.stdout.write(
        "machines  load s  configs' inputs s  report s  page s  page KiB  json KiB  pods read s"
        "  memory MiB\n"
    )
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            sys.stdout.write(_row(count, Path(folder)))
    return 0


def _row(count: int, folder: Path) -> str:
    root = lay_out(folder / "definition", count)
    cluster, load_s = _timed(lambda: load(root, "infra"))
    _, inputs_s = _timed(lambda: plan_generation(cluster))
    writer = ReportWriter(folder / "report")
    _, report_s = _timed(lambda: deque(map(writer.hear, run_on(count)), maxlen=0))
    report = writer.report()
    html, page_s = _timed(
        lambda: (
            page.above(report, "")
            + json.dumps([page.row(one, report, "") for one in report.criteria])
        )
    )
    line = '                    "containerID": "containerd://0123456789abcdef0123456789abcdef",'
    program = f"for _ in range({count * LINES_PER_MACHINE}): print({line!r})"
    mask = Masker([f"secret-{number:032}" for number in range(20)])
    _, pods_s = _timed(lambda: run([sys.executable, "-c", program], timeout_s=600, mask=mask))
    kib = (len(html) // 1024, (folder / "report" / "report.json").stat().st_size // 1024)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return (
        f"{count:8}  {load_s:6.2f}  {inputs_s:17.2f}  {report_s:8.2f}  {page_s:6.2f}  "
        f"{kib[0]:8}  {kib[1]:8}  {pods_s:11.2f}  {memory:10}\n"
    )


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started_s = time.process_time()
    return work(), time.process_time() - started_s


if __name__ == "__main__":
    sys.exit(main([int(word) for word in sys.argv[1:]] or [6, 100, 300]))
