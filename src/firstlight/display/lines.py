"""The lines that stay on the screen: what began, how it ended, and why it failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from firstlight.events import (
    CriterionEnded,
    DiagnosticsBegun,
    RunEnded,
    RunStarted,
    ScenarioStanding,
    Verdict,
)
from firstlight.formatting import duration_text
from firstlight.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firstlight.display.state import DisplayState
    from firstlight.events import Event
    from firstlight.formatting import Glyphs

_VERDICT_WIDTH: Final = max(len(verdict) for verdict in Verdict)

_SHORTEST_SHOWN_S: Final = 0.05
"""A shorter time is not shown."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line and its manner: `met`, `failed`, `warning`, `action`, `strong` or `plain`."""

    manner: str
    text: str

    @property
    def shown(self) -> str:
        """The text on one line, without anything that moves the cursor."""
        return printable(self.text).replace("\n", " ")


def lines_for(event: Event, state: DisplayState, glyphs: Glyphs) -> Iterator[Line]:
    """Yield the lines that an event leaves; most events leave none."""
    match event:
        case RunStarted():
            yield from _run_started(event)
        case CriterionEnded():
            yield from _criterion_ended(event, state, glyphs)
        case DiagnosticsBegun():
            yield Line(
                "plain",
                f"{glyphs.action} collecting diagnostics of stage {event.stage}, "
                f"for at most {event.longest_s:.0f} s (Ctrl+C skips this)",
            )
        case RunEnded():
            if event.interrupted and state.current is not None:
                yield _warning(glyphs, "interrupted", state.current.title)
            left = sum(verdict is Verdict.NOT_REACHED for verdict in state.ended.values())
            if left:
                yield _warning(glyphs, Verdict.NOT_REACHED, f"{left} criteria")
        case _:
            pass


def _warning(glyphs: Glyphs, word: str, what: str) -> Line:
    return Line("warning", f"{glyphs.warning} {word:<{_VERDICT_WIDTH}} {what}")


def _run_started(event: RunStarted) -> Iterator[Line]:
    kind = "plan of" if event.plan else "bootstrap of"
    stage = f", only stage {event.stage}" if event.stage else ""
    revision = f", {event.revision}" if event.revision else ""
    number = f": {len(event.criteria)} criteria" if not event.stage else ""
    yield Line("strong", f"{kind} {event.cluster} on {event.target}{revision}{stage}{number}")
    for one in event.stand_ins:
        yield Line(
            "plain",
            f"  stand-in: {one.name}, for {one.stands_for}; cannot show {one.cannot_show}",
        )


def _criterion_ended(event: CriterionEnded, state: DisplayState, glyphs: Glyphs) -> Iterator[Line]:
    # What was not reached is counted at the end: one failure is reported once.
    if event.verdict is Verdict.NOT_REACHED:
        return
    info = state.info(event.id)
    sign, manner = _appearance(event.verdict, glyphs)
    yield Line(manner, f"{sign} {event.verdict:<{_VERDICT_WIDTH}} {info.title}{_times(event)}")
    yield from _scenarios(event)
    if event.error:
        yield from _failure(event, info.anchor, glyphs)
    elif event.reason and not event.verdict.holds:
        for line in event.reason.splitlines():
            yield Line("plain", f"  {line}")


def _scenarios(event: CriterionEnded) -> Iterator[Line]:
    """Yield each scenario that failed, and how many cannot be verified here for which reason."""
    for one in event.scenarios:
        if one.standing is ScenarioStanding.FAILED:
            yield Line("failed", f"  {one.standing}: {one.name}: {one.words}")
    reasons = Counter(
        one.words for one in event.scenarios if one.standing is ScenarioStanding.NOT_VERIFIABLE
    )
    for reason, number in reasons.items():
        yield Line("warning", f"  {number} {ScenarioStanding.NOT_VERIFIABLE}: {reason}")


def _failure(event: CriterionEnded, anchor: str, glyphs: Glyphs) -> Iterator[Line]:
    for line in event.error.rstrip().splitlines():
        yield Line("plain", f"  {line}")
    for hint in event.hints:
        yield Line("warning", f"  {glyphs.warning} {hint.id}: {hint.cause}")
        yield Line("plain", f"    {hint.remedy}")
        for command in hint.commands:
            yield Line("plain", f"    $ {command}")
        if hint.anchor:
            yield Line("plain", f"    {hint.anchor}")
    if anchor:
        yield Line("plain", f"  runbook   {anchor}")


def _times(event: CriterionEnded) -> str:
    times = [
        f"{name} {duration_text(seconds)}"
        for name, seconds in (("acting", event.acting_s), ("waiting", event.waiting_s))
        if seconds >= _SHORTEST_SHOWN_S
    ]
    return f"  ({', '.join(times)})" if times else ""


def _appearance(verdict: Verdict, glyphs: Glyphs) -> tuple[str, str]:
    """Return the sign and the manner of a verdict."""
    if verdict.holds:
        return glyphs.met, "met"
    if verdict.failed:
        return glyphs.failed, "failed"
    return (glyphs.action if verdict is Verdict.WILL_ACT else glyphs.warning), "warning"
