"""The few HTML building blocks that the page is made of; every text passes through `text` or `words`."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from firstlight.printable import printable
from firstlight.report.glyphs import GLYPHS
from firstlight.report.model import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firstlight.report.model import CriterionResult

TONES = {
    "met": "met",
    "already met": "met",
    "action failed": "failed",
    "not ready in time": "failed",
    "not reached": "open",
    "not verifiable here": "unverifiable",
    "will act": "planned",
    "blocked": "open",
}
"""Per verdict the colour's name; words without a verdict are open."""

_MARKS = {"met": "✔", "failed": "✗", "unverifiable": "⚠", "planned": "►", "open": "◎"}


def text(raw: str) -> str:
    """Return text that is safe in an element and in a quoted attribute."""
    return html.escape(printable(raw), quote=True)


def words(raw: str) -> str:
    """Return escaped text whose `backticks` are set as code, as the story writes commands."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text(raw))


def lines(parts: Iterable[str]) -> str:
    """Join parts that are already HTML, one a line."""
    return "\n".join(part for part in parts if part)


def tone(word: str) -> str:
    """Return the colour's name for a verdict in words."""
    return TONES.get(word, "open")


def standing_tone(standing: Standing) -> str:
    """Return the colour's name for where a group stands."""
    return {
        Standing.MET: "met",
        Standing.MET_IN_PART: "part",
        Standing.FAILED: "failed",
        Standing.NOT_VERIFIABLE: "unverifiable",
        Standing.PLANNED: "planned",
    }.get(standing, "open")


def verdict_pill(word: str) -> str:
    """Return a verdict with its glyph and colour."""
    return f'<span class="fl-pill fl-{tone(word)}">{_MARKS[tone(word)]} {text(word)}</span>'


def standing_pill(standing: Standing, said: str) -> str:
    """Return a group's judgement with its glyph and colour."""
    return (
        f'<span class="fl-pill fl-{standing_tone(standing)}">{GLYPHS[standing]} {text(said)}</span>'
    )


def anchor(criterion: str) -> str:
    """Return the id that a criterion's row has on the page."""
    return "criterion-" + re.sub(r"[^\w.-]", "-", criterion)


def criterion_link(one: CriterionResult, label: str = "") -> str:
    """Return a link to a criterion's row; its title says which and how it stands."""
    return (
        f'<a class="fl-ref fl-{tone(one.word)}" href="#{anchor(one.info.id)}" '
        f'title="{text(one.info.title)}: {text(one.word)}">{text(label or str(one.number))}</a>'
    )
