"""Fold a stream of events into a report, at any moment and from any part of a run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from firstlight.events import (
    CommandOutput,
    CriterionEnded,
    CriterionInfo,
    CriterionStarted,
    DiagnosticsBegun,
    DiagnosticsEnded,
    RunEnded,
    RunStarted,
    Stamped,
    Verdict,
)
from firstlight.report.conclude import conclude
from firstlight.report.gather import Gathered, Told
from firstlight.report.judge import NOT_IN_RUN, judge_acceptance, judge_checklist, judge_stages
from firstlight.report.model import (
    CriterionResult,
    DiagnosticsRecord,
    Report,
    RunHead,
    RunState,
    Timing,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

UNDER_WAY = "under way"
NOT_BEGUN = "not begun"
CUT_SHORT = "interrupted"


def fold(stream: Iterable[Stamped]) -> Report:
    """Return the report of a recorded stream; of several runs in it, the last."""
    gatherer = Fold()
    for stamped in stream:
        gatherer.hear(stamped)
    return gatherer.report()


class Fold:
    """Hears events one by one and gives a report whenever one is asked for."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._start: RunStarted | None = None
        self._end: RunEnded | None = None
        self._diagnostics: DiagnosticsRecord | None = None
        self._started_at = ""
        self._last_at = ""
        self._offset_s = 0.0
        self._last_s = 0.0
        self._infos: dict[str, CriterionInfo] = {}
        self._gathered: dict[str, Gathered] = {}
        self._outside = Gathered()

    def hear(self, stamped: Stamped) -> None:
        """Take in one event; a new run's start forgets the run before."""
        event = stamped.event
        if isinstance(event, RunStarted):
            self._forget()
            self._start = event
            self._started_at = stamped.at
            self._offset_s = stamped.since_start_s
            self._infos = {info.id: info for info in event.criteria}
        self._last_at = stamped.at
        self._last_s = max(self._last_s, stamped.since_start_s - self._offset_s)
        match event:
            case RunStarted() | CommandOutput() | DiagnosticsBegun():
                pass
            case DiagnosticsEnded():
                self._diagnostics = DiagnosticsRecord(
                    event.file, event.pieces, event.size_bytes, event.elapsed_s, event.trouble
                )
            case RunEnded():
                self._end = event
            case CriterionStarted():
                self._of(event.id).started_s = stamped.since_start_s - self._offset_s
            case CriterionEnded():
                self._of(event.id).ended = event
            case _:
                self._told(event, stamped.since_start_s - self._offset_s)

    def report(self) -> Report:
        """Return what is known now."""
        head = self._head()
        criteria = tuple(
            self._gathered.get(info.id, Gathered()).result(
                info, number, self._word(info), self._last_s
            )
            for number, info in enumerate(self._infos.values(), start=1)
        )
        return Report(
            head=head,
            conclusion=conclude(head, criteria),
            timing=self._timing(),
            counts=_counts(criteria),
            criteria=criteria,
            acceptance=judge_acceptance(criteria),
            checklist=judge_checklist(criteria),
            stages=judge_stages(criteria),
            outside_commands=tuple(self._outside.commands.values()),
            diagnostics=self._diagnostics,
        )

    def _told(self, event: Told, at_s: float) -> None:
        # Work before the first criterion, such as bringing the target up, belongs to none.
        gathered = self._of(event.criterion) if event.criterion else self._outside
        gathered.hear(event, at_s)

    def _of(self, criterion: str) -> Gathered:
        if criterion not in self._infos:
            # Better an unlisted row than evidence that nobody sees.
            self._infos[criterion] = CriterionInfo(
                criterion, "", (), criterion, 0, "unlisted", (), 0.0, ""
            )
        return self._gathered.setdefault(criterion, Gathered())

    def _word(self, info: CriterionInfo) -> str:
        gathered = self._gathered.get(info.id)
        if gathered is not None and gathered.ended is not None:
            return str(gathered.ended.verdict)
        if gathered is not None and gathered.started_s is not None:
            return UNDER_WAY if self._end is None else CUT_SHORT
        if self._end is None or self._start is None:
            return NOT_BEGUN
        if self._start.stage:
            # The checklist is told whole, whatever part of it was asked for.
            return NOT_BEGUN if self._end.interrupted else NOT_IN_RUN
        return str(Verdict.NOT_REACHED)

    def _head(self) -> RunHead:
        start = self._start or RunStarted("", "", "", "", (), (), (), 0.0, "")
        end = self._end
        return RunHead(
            run_id=start.run_id,
            cluster=start.cluster,
            target=start.target,
            revision=start.revision,
            plan=start.plan,
            stage=start.stage,
            state=self._state(),
            exit_code=end.exit_code if end else None,
            started_at=self._started_at,
            ended_at=self._last_at,
            stand_ins=start.stand_ins,
            tool_versions=start.tool_versions,
            nodes=start.nodes,
            resume_command=(end.resume_command if end else "") or start.resume_command,
        )

    def _state(self) -> RunState:
        if self._start is None:
            return RunState.NOT_STARTED
        if self._end is None:
            return RunState.UNDER_WAY
        return RunState.INTERRUPTED if self._end.interrupted else RunState.FINISHED

    def _timing(self) -> Timing:
        end = self._end
        verified_s = end.verified_after_s if end else None
        ready_s = end.ready_after_s if end else None
        counted = (
            "the first action of this bootstrap"
            if verified_s is not None
            else "the start of this run"
        )
        return Timing(
            budget_s=self._start.budget_s if self._start else 0.0,
            elapsed_s=self._last_s,
            first_action_at=end.first_action_at if end else "",
            ready_after_s=ready_s,
            verified_after_s=verified_s,
            total_s=self._last_s if verified_s is None else verified_s,
            counted_from=counted,
        )


def _counts(criteria: Iterable[CriterionResult]) -> dict[str, int]:
    seen = Counter(one.word for one in criteria)
    order = [*(str(verdict) for verdict in Verdict), UNDER_WAY, CUT_SHORT, NOT_BEGUN, NOT_IN_RUN]
    return {word: seen[word] for word in order if seen[word]}
