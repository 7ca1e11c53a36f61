"""The lines that stay on the screen: what began, what came of it, and why it failed."""

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
from firstlight.printable import printable
from firstlight.span import span_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firstlight.display.glyphs import Glyphs
    from firstlight.display.scene import Scene
    from firstlight.events import Event

_VERDICT_WIDTH: Final = max(len(verdict) for verdict in Verdict)

_SPAN_SAID_S: Final = 0.05
"""A shorter span is not worth a word."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line with the manner in which it is said: `met`, `failed`, `warning`, `action`, `strong`, `plain`."""

    manner: str
    text: str

    @property
    def shown(self) -> str:
        """Return the text without what would move the cursor."""
        return printable(self.text).replace("\n", " ")


def told(event: Event, scene: Scene, glyphs: Glyphs) -> Iterator[Line]:
    """Yield the lines that an event leaves behind; most leave none."""
    match event:
        case RunStarted():
            yield from _run_started(event)
        case CriterionEnded():
            yield from _criterion_ended(event, scene, glyphs)
        case DiagnosticsBegun():
            yield Line(
                "plain",
                f"{glyphs.action} collecting diagnostics of stage {event.stage}, for {event.longest_s:.0f} s at most (Ctrl+C ends it)",
            )
        case RunEnded():
            if event.interrupted and scene.current is not None:
                yield Line(
                    "warning",
                    f"{glyphs.warning} {'interrupted':<{_VERDICT_WIDTH}} {scene.current.title}",
                )
            left = sum(verdict is Verdict.NOT_REACHED for verdict in scene.ended.values())
            if left:
                yield Line(
                    "warning",
                    f"{glyphs.warning} {Verdict.NOT_REACHED:<{_VERDICT_WIDTH}} {left} criteria",
                )
        case _:
            pass


def _run_started(event: RunStarted) -> Iterator[Line]:
    kind = "plan of" if event.plan else "bootstrap of"
    stage = f", only stage {event.stage}" if event.stage else ""
    revision = f", {event.revision}" if event.revision else ""
    number = f": {len(event.criteria)} criteria" if not event.stage else ""
    yield Line("strong", f"{kind} {event.cluster} on {event.target}{revision}{stage}{number}")
    for one in event.stand_ins:
        yield Line(
            "plain", f"  stand-in: {one.name}, for {one.stands_for}; cannot show {one.cannot_show}"
        )


def _criterion_ended(event: CriterionEnded, scene: Scene, glyphs: Glyphs) -> Iterator[Line]:
    # One failure is one failure: what comes after it is counted at the end, not told line by line.
    if event.verdict is Verdict.NOT_REACHED:
        return
    info = scene.info(event.id)
    sign = glyphs.of(event.verdict)
    yield Line(
        _manner(event.verdict),
        f"{sign} {event.verdict:<{_VERDICT_WIDTH}} {info.title}{_spans(event)}",
    )
    yield from _scenarios(event)
    if event.error:
        yield from _failure(event, info.anchor, glyphs)
    elif event.reason and not event.verdict.holds:
        for line in event.reason.splitlines():
            yield Line("plain", f"  {line}")


def _scenarios(event: CriterionEnded) -> Iterator[Line]:
    """Yield what a tool that tests by itself found: what failed one by one, the rest counted, what cannot be shown here by its reason."""
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


def _spans(event: CriterionEnded) -> str:
    spans = [
        f"{name} {span_text(span)}"
        for name, span in (("acting", event.acting_s), ("waiting", event.waiting_s))
        if span >= _SPAN_SAID_S
    ]
    return f"  ({', '.join(spans)})" if spans else ""


def _manner(verdict: Verdict) -> str:
    if verdict.holds:
        return "met"
    return "failed" if verdict.failed else "warning"
