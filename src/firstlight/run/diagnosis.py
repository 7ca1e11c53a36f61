"""Collect diagnostics once a run has failed, and report the archive."""

from __future__ import annotations

from firstlight.diagnostics import FailedCriterion, Failure, collect
from firstlight.diagnostics.collect import LONGEST_S
from firstlight.events import CriterionEnded, DiagnosticsBegun, DiagnosticsEnded
from firstlight.run.engine import Run
from firstlight.tools.orphans import MARK


def diagnose(run: Run) -> None:
    """Collect diagnostics of the stage that failed, next to the report.

    Nothing is collected for a plan or if nothing failed.
    """
    failures = run.record.failures
    if run.settings.plan or not failures:
        return
    stage = run.criteria[failures[0].id].stage
    of_stage = [one for one in failures if run.criteria[one.id].stage is stage]
    run.bus.emit(DiagnosticsBegun(stage=stage, longest_s=LONGEST_S))
    # With the mark of this run, so the next run ends what a killed one leaves behind.
    environment = {**run.target.environment, MARK: str(run.target.state)}
    failed = tuple(_failed(run, one) for one in of_stage)
    collected = collect(
        Failure(run.run_id, stage, failed, run.definition, run.target),
        run.settings.report_dir,
        environment=environment,
        mask=run.mask,
        clock=run.clock,
    )
    run.bus.emit(
        DiagnosticsEnded(
            file=collected.path.name if collected.path else "",
            pieces=collected.pieces,
            size_bytes=collected.size_bytes,
            elapsed_s=collected.elapsed_s,
            trouble=collected.trouble,
        )
    )


def _failed(run: Run, ended: CriterionEnded) -> FailedCriterion:
    info = run.criteria[ended.id]
    said = f"{ended.error}\n{ended.last_observation}".strip()
    return FailedCriterion(info.id, info.title, info.needs, said)
