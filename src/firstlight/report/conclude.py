"""Say the whole run in one sentence, and never a better one than the record allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.events import Verdict
from firstlight.report.judge import NOT_IN_RUN, plural
from firstlight.report.model import Conclusion, CriterionResult, RunHead, RunState, Standing

if TYPE_CHECKING:
    from collections.abc import Sequence


def conclude(head: RunHead, criteria: Sequence[CriterionResult]) -> Conclusion:
    """Return the run's conclusion; a failure outranks all else, and "done" needs a clean end."""
    failed = [one for one in criteria if one.failed]
    if failed:
        first = failed[0]
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return Conclusion(
            Standing.FAILED,
            f"{first.word}: {first.info.title}{more}",
            head.resume_command,
            first.info.id,
            detail=next(iter(first.error.strip().splitlines()), first.last_observation),
            advice=first.hints[0].remedy if first.hints else "",
        )
    if head.state is RunState.NOT_STARTED:
        return Conclusion(
            Standing.OPEN, "nothing has run yet; if that is all, the terminal's output says why"
        )
    if head.state is not RunState.FINISHED:
        return _unfinished(head, criteria)
    if head.plan:
        return _planned(head, criteria)
    return _finished(head, criteria)


def _planned(head: RunHead, criteria: Sequence[CriterionResult]) -> Conclusion:
    wrong = [one for one in criteria if one.verdict is Verdict.BLOCKED and one.error]
    if wrong:
        first = wrong[0]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return Conclusion(
            Standing.FAILED,
            f"plan, nothing was changed; blocked by: {first.info.title}{more}",
            head.resume_command,
            first.info.id,
            detail=next(iter(first.error.strip().splitlines()), ""),
            advice=first.hints[0].remedy if first.hints else "",
        )
    acting = sum(one.verdict is Verdict.WILL_ACT for one in criteria)
    if not acting:
        return Conclusion(Standing.PLANNED, "plan, nothing was changed: there is nothing to do")
    return Conclusion(
        Standing.PLANNED,
        f"plan, nothing was changed: a run would act {acting} times",
        head.resume_command,
    )


def _unfinished(head: RunHead, criteria: Sequence[CriterionResult]) -> Conclusion:
    begun = [one for one in criteria if one.started_s is not None]
    current = begun[-1] if begun else None
    where = f" at: {current.info.title}" if current else " before the first criterion"
    word = "interrupted" if head.state is RunState.INTERRUPTED else "under way"
    return Conclusion(
        Standing.OPEN, word + where, head.resume_command, current.info.id if current else ""
    )


def _finished(head: RunHead, criteria: Sequence[CriterionResult]) -> Conclusion:
    blocked = [one for one in criteria if one.verdict is Verdict.BLOCKED]
    if blocked:
        text = f"{blocked[0].word}: {blocked[0].info.title}"
        return Conclusion(
            Standing.OPEN, text, head.resume_command, blocked[0].info.id, detail=blocked[0].reason
        )
    if head.exit_code not in (0, None):
        text = f"the run ended with exit code {head.exit_code} though no criterion failed: see the terminal's output"
        return Conclusion(Standing.FAILED, text, head.resume_command)
    return _verified(head, criteria)


def _verified(head: RunHead, criteria: Sequence[CriterionResult]) -> Conclusion:
    run = [one for one in criteria if one.word != NOT_IN_RUN]
    holding = sum(one.holds for one in run)
    unverifiable = sum(one.verdict is Verdict.NOT_VERIFIABLE for one in run)
    undecided = len(run) - holding - unverifiable
    if undecided:
        return Conclusion(Standing.OPEN, f"not complete: {_tally(run)}", head.resume_command)
    if not holding:
        return Conclusion(Standing.NOT_VERIFIABLE, "nothing could be verified on this target")
    if head.stage:
        return Conclusion(
            Standing.MET_IN_PART,
            f"only {head.stage}, done: {_tally(run)}; {len(criteria) - len(run)} were not run",
        )
    scenarios = sum(len(one.unverifiable) for one in run)
    if unverifiable or scenarios:
        what = [str(unverifiable)] if unverifiable else []
        what += [plural(scenarios, "scenario")] if scenarios else []
        text = f"done: {holding} of {len(criteria)} criteria met; {' and '.join(what)} not verifiable on target {head.target}"
        return Conclusion(Standing.MET_IN_PART, text)
    return Conclusion(Standing.MET, f"done: all {holding} criteria met")


def _tally(criteria: Sequence[CriterionResult]) -> str:
    words = dict.fromkeys(one.word for one in criteria)
    return (
        ", ".join(f"{sum(one.word == word for one in criteria)} {word}" for word in words)
        or "no criterion"
    )
