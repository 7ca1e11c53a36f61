"""One lab for all faults: it is broken, repaired and continued, in the order of the stages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.faults.bench import Bench, bench_of
from tests.rehearsals import rehearsal_on

NETWORK = int(os.environ.get("FIRSTLIGHT_FAULTS_NETWORK", "230"))
"""The third octet of the lab's addresses. With another one, a second session can run at once."""


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    for rehearsal in rehearsal_on(NETWORK, tmp_path_factory):
        # Helm's own timeout, which no factor shortens, but long enough for a busy computer.
        for file in rehearsal.root.glob("bootstrap/infra/helmfile.d/*.yaml"):
            lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
            file.write_text(
                "".join(
                    "    timeout: 120\n" if line.startswith("    timeout:") else line
                    for line in lines
                ),
                encoding="utf-8",
            )
        shutil.copy(
            Path(__file__).with_name("startupapicheck.yaml"),
            rehearsal.root / "lab/simulated/charts/cert-manager/templates",
        )
        yield bench_of(rehearsal)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Start over after a case that failed: its fault must not affect the next case."""
    report = yield
    bench = getattr(item, "funcargs", {}).get("bench")
    if report.failed and isinstance(bench, Bench):
        bench.stage = "none"
    return report
