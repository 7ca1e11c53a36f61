"""Judge groups of criteria and the whole run, never better than the record allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firstlight.checklist import AcceptanceCriterion, Box
from firstlight.events import Verdict
from firstlight.formatting import plural
from firstlight.report.model import (
    Conclusion,
    CriterionResult,
    GroupResult,
    RunHead,
    RunState,
    Standing,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_IN_RUN: Final = "not in this run"


def judge_acceptance(criteria: Sequence[CriterionResult]) -> tuple[GroupResult, ...]:
    """Judge the story's acceptance criteria, in its order."""
    whole = _is_whole(criteria)
    return tuple(
        judge(key, key.text, [one for one in criteria if key in one.info.acceptance], whole=whole)
        for key in AcceptanceCriterion
    )


def judge_checklist(criteria: Sequence[CriterionResult]) -> tuple[GroupResult, ...]:
    """Judge the boxes of the story's checklist, in its order; boxes that it lacks come last."""
    whole = _is_whole(criteria)
    boxes = dict.fromkeys([*Box, *(box for one in criteria for box in one.info.boxes)])
    return tuple(
        judge(box, box, [one for one in criteria if box in one.info.boxes], whole=whole)
        for box in boxes
    )


def judge_stages(criteria: Sequence[CriterionResult]) -> tuple[GroupResult, ...]:
    """Judge each stage, in run order; a stage is complete whatever else was run."""
    stages = dict.fromkeys(one.info.stage for one in criteria)
    return tuple(
        judge(stage, stage, [one for one in criteria if one.info.stage == stage], whole=True)
        for stage in stages
    )


def judge(key: str, title: str, members: Sequence[CriterionResult], *, whole: bool) -> GroupResult:
    """Judge a group; it is met only if every one of its criteria was verified.

    Args:
        key: The group's key.
        title: The group's title.
        members: Its criteria, in run order.
        whole: Whether the run knows the whole checklist; if not, the group may have more criteria.
    """
    standing, words, note = _judgement(members, whole=whole)
    return GroupResult(
        key=str(key),
        title=str(title),
        standing=standing,
        words=words,
        criteria=tuple(one.info.id for one in members),
        holding=sum(one.holds for one in members),
        acting_s=sum(one.acting_s for one in members),
        waiting_s=sum(one.waiting_s for one in members),
        note=note,
    )


def conclude(head: RunHead, criteria: Sequence[CriterionResult]) -> Conclusion:
    """Sum up the run: a failure outranks everything, and only a run that ended well is "done"."""
    failed = [one for one in criteria if one.failed]
    if failed:
        first = failed[0]
        return _failure(f"{first.word}: {first.info.title}", failed, head, first.last_observation)
    if head.state is RunState.NOT_STARTED:
        return Conclusion(
            Standing.OPEN, "nothing has run yet; if the run has ended, see the terminal output"
        )
    if head.state is not RunState.FINISHED:
        return _unfinished(head, criteria)
    if head.plan:
        return _planned(head, criteria)
    return _finished(head, criteria)


def _is_whole(criteria: Sequence[CriterionResult]) -> bool:
    # The whole checklist covers every box of the story; a hand-picked few criteria hardly ever do.
    return {box for one in criteria for box in one.info.boxes} >= set(Box)


def _judgement(members: Sequence[CriterionResult], *, whole: bool) -> tuple[Standing, str, str]:
    total = len(members)
    holding = sum(one.holds for one in members)
    failed = [one for one in members if one.failed]
    unverifiable = sum(one.verdict is Verdict.NOT_VERIFIABLE for one in members)
    if all(one.word == NOT_IN_RUN for one in members):
        return Standing.NOT_IN_RUN, NOT_IN_RUN, ""
    if failed:
        words = f"failed, {holding} of {total} met" if total > 1 else "failed"
        return Standing.FAILED, words, failed[0].info.title if total > 1 else ""
    if total > holding + unverifiable:
        return _undecided(members, holding, unverifiable)
    if not holding:
        return Standing.NOT_VERIFIABLE, "not verifiable here", _reasons(members)
    scenarios = sum(len(one.unverifiable) for one in members)
    words = "met"
    if unverifiable:
        words += f", {unverifiable} not verifiable here"
        words += f", and {plural(scenarios, 'scenario')}" if scenarios else ""
    elif scenarios:
        words += f", {plural(scenarios, 'scenario')} not verifiable here"
    if not whole:
        standing, words = Standing.OPEN, f"{words}, but only part of the checklist was run"
    else:
        standing = Standing.MET_IN_PART if unverifiable or scenarios else Standing.MET
    return standing, words, _reasons(members)


def _undecided(
    members: Sequence[CriterionResult], holding: int, unverifiable: int
) -> tuple[Standing, str, str]:
    waiting = [
        one
        for one in members
        if one.verdict is None or not (one.holds or one.verdict is Verdict.NOT_VERIFIABLE)
    ]
    planned = any(one.verdict is Verdict.WILL_ACT for one in waiting)
    standing = Standing.PLANNED if planned else Standing.OPEN
    if len(waiting) == len(members) and len({one.word for one in waiting}) == 1:
        return standing, waiting[0].word, ""
    words = [f"{holding} of {len(members)} met"]
    if unverifiable:
        words.append(f"{unverifiable} not verifiable here")
    return standing, ", ".join((*words, _tally(waiting))), ""


def _reasons(members: Sequence[CriterionResult]) -> str:
    reasons = [one.reason for one in members if one.verdict is Verdict.NOT_VERIFIABLE]
    reasons += [scenario.words for one in members for scenario in one.unverifiable]
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))


def _failure(
    text: str, failed: Sequence[CriterionResult], head: RunHead, seen: str = ""
) -> Conclusion:
    first = failed[0]
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return Conclusion(
        Standing.FAILED,
        f"{text}{more}",
        head.resume_command,
        first.info.id,
        detail=first.first_line or seen,
        advice=first.hints[0].remedy if first.hints else "",
    )


def _planned(head: RunHead, criteria: Sequence[CriterionResult]) -> Conclusion:
    plan = "plan, nothing was changed"
    wrong = [one for one in criteria if one.verdict is Verdict.BLOCKED and one.error]
    if wrong:
        return _failure(f"{plan}; blocked by: {wrong[0].info.title}", wrong, head)
    acting = sum(one.verdict is Verdict.WILL_ACT for one in criteria)
    if not acting:
        return Conclusion(Standing.PLANNED, f"{plan}: there is nothing to do")
    text = f"{plan}: a run would perform {plural(acting, 'action')}"
    return Conclusion(Standing.PLANNED, text, head.resume_command)


def _unfinished(head: RunHead, criteria: Sequence[CriterionResult]) -> Conclusion:
    begun = [one for one in criteria if one.started_s is not None]
    current = begun[-1] if begun else None
    where = f" at: {current.info.title}" if current else " before the first criterion"
    word = "interrupted" if head.state is RunState.INTERRUPTED else "under way"
    return Conclusion(
        Standing.OPEN, word + where, head.resume_command, current.info.id if current else ""
    )


def _finished(head: RunHead, criteria: Sequence[CriterionResult]) -> Conclusion:
    blocked = next((one for one in criteria if one.verdict is Verdict.BLOCKED), None)
    if blocked is not None:
        text = f"{blocked.word}: {blocked.info.title}"
        return Conclusion(
            Standing.OPEN, text, head.resume_command, blocked.info.id, detail=blocked.reason
        )
    if head.exit_code not in (0, None):
        text = (
            f"the run ended with exit code {head.exit_code} though no criterion failed: "
            "see the terminal output"
        )
        return Conclusion(Standing.FAILED, text, head.resume_command)
    return _verified(head, criteria)


def _verified(head: RunHead, criteria: Sequence[CriterionResult]) -> Conclusion:
    run = [one for one in criteria if one.word != NOT_IN_RUN]
    holding = sum(one.holds for one in run)
    unverifiable = sum(one.verdict is Verdict.NOT_VERIFIABLE for one in run)
    if len(run) > holding + unverifiable:
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
        text = (
            f"done: {holding} of {len(criteria)} criteria met; "
            f"{' and '.join(what)} not verifiable on target {head.target}"
        )
        return Conclusion(Standing.MET_IN_PART, text)
    return Conclusion(Standing.MET, f"done: all {holding} criteria met")


def _tally(criteria: Sequence[CriterionResult]) -> str:
    words = dict.fromkeys(one.word for one in criteria)
    counted = (f"{sum(one.word == word for one in criteria)} {word}" for word in words)
    return ", ".join(counted) or "no criterion"
