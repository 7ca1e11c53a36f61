"""Judge groups of criteria: what may be called met, and what keeps a group from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.events import Verdict
from firstlight.report.model import CriterionResult, GroupResult, Standing
from firstlight.report.story import ACCEPTANCE, CHECKLIST

if TYPE_CHECKING:
    from collections.abc import Sequence
from typing import Final

NOT_IN_RUN: Final = "not in this run"


def judge_acceptance(criteria: Sequence[CriterionResult]) -> tuple[GroupResult, ...]:
    """Judge the story's seven acceptance criteria, in its order."""
    whole = _is_whole(criteria)
    return tuple(
        judge(key, title, [one for one in criteria if key in one.info.acceptance], whole=whole)
        for key, title in ACCEPTANCE
    )


def judge_checklist(criteria: Sequence[CriterionResult]) -> tuple[GroupResult, ...]:
    """Judge the story's fourteen boxes, in its order; a box that only a criterion knows comes after them."""
    whole = _is_whole(criteria)
    boxes = dict.fromkeys([*CHECKLIST, *(box for one in criteria for box in one.info.boxes)])
    return tuple(
        judge(box, box, [one for one in criteria if box in one.info.boxes], whole=whole)
        for box in boxes
    )


def judge_stages(criteria: Sequence[CriterionResult]) -> tuple[GroupResult, ...]:
    """Judge each stage, in run order; a stage is complete in itself, whatever else was run."""
    stages = dict.fromkeys(one.info.stage for one in criteria)
    return tuple(
        judge(stage, stage, [one for one in criteria if one.info.stage == stage], whole=True)
        for stage in stages
    )


def judge(key: str, title: str, members: Sequence[CriterionResult], *, whole: bool) -> GroupResult:
    """Judge one group; it is plainly met only if every one of its criteria was verified and holds.

    Args:
        key: The group's key.
        title: The group's words.
        members: Its criteria, in run order.
        whole: Whether all of the checklist is known; if not, the group may have criteria that nobody looked at.
    """
    standing, words, note = _judgement(members, whole=whole)
    return GroupResult(
        key=key,
        title=title,
        standing=standing,
        words=words,
        criteria=tuple(one.info.id for one in members),
        holding=sum(one.holds for one in members),
        acting_s=sum(one.acting_s for one in members),
        waiting_s=sum(one.waiting_s for one in members),
        note=note,
    )


def _is_whole(criteria: Sequence[CriterionResult]) -> bool:
    # The checklist leaves no box of the story out; a few tests picked by hand nearly always do.
    return {box for one in criteria for box in one.info.boxes} >= set(CHECKLIST)


def _judgement(members: Sequence[CriterionResult], *, whole: bool) -> tuple[Standing, str, str]:
    total = len(members)
    holding = sum(one.holds for one in members)
    failed = [one for one in members if one.failed]
    unverifiable = [one for one in members if one.verdict is Verdict.NOT_VERIFIABLE]
    undecided = total - holding - len(failed) - len(unverifiable)
    if all(one.word == NOT_IN_RUN for one in members):
        return Standing.NOT_IN_RUN, NOT_IN_RUN, ""
    if failed:
        words = f"failed, {holding} of {total} met" if total > 1 else "failed"
        return Standing.FAILED, words, failed[0].info.title if total > 1 else ""
    if undecided:
        return _undecided(members, holding, len(unverifiable))
    if not holding:
        return Standing.NOT_VERIFIABLE, "not verifiable here", _reasons(members)
    scenarios = sum(len(one.unverifiable) for one in members)
    words = f"met, {len(unverifiable)} not verifiable here" if unverifiable else "met"
    if scenarios:
        words += (
            f", {plural(scenarios, 'scenario')} not verifiable here"
            if not unverifiable
            else f", and {plural(scenarios, 'scenario')}"
        )
    if not whole:
        return (
            Standing.OPEN,
            f"{words}, but only a part of the checklist was run",
            _reasons(members),
        )
    return (
        (Standing.MET_IN_PART if unverifiable or scenarios else Standing.MET),
        words,
        _reasons(members),
    )


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
    tally = dict.fromkeys(one.word for one in waiting)
    if len(waiting) == len(members) and len(tally) == 1:
        return standing, waiting[0].word, ""
    words = f"{holding} of {len(members)} met"
    if unverifiable:
        words += f", {unverifiable} not verifiable here"
    words += "".join(f", {sum(one.word == word for one in waiting)} {word}" for word in tally)
    return standing, words, ""


def _reasons(members: Sequence[CriterionResult]) -> str:
    reasons = [one.reason for one in members if one.verdict is Verdict.NOT_VERIFIABLE]
    reasons += [scenario.words for one in members for scenario in one.unverifiable]
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))


def plural(number: int, thing: str) -> str:
    """Return so many things in words."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
