"""The timeline: one lane a stage, one bar a criterion, acting dark and waiting light."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.report.markup import anchor, lines, text, tone
from firstlight.span import span_text

if TYPE_CHECKING:
    from firstlight.report.model import CriterionResult, GroupResult, Report

_TICKS_MAX = 8
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


def timeline(report: Report) -> str:
    """Return the timeline, or nothing when no criterion began."""
    begun = [one for one in report.criteria if one.started_s is not None and one.took_s > 0]
    if not begun or report.head.plan:
        return ""
    whole_s = max(
        report.timing.elapsed_s, *((one.started_s or 0.0) + one.took_s for one in begun), 0.001
    )
    by_id = {one.info.id: one for one in begun}
    lanes = lines(_lane(stage, by_id, whole_s) for stage in report.stages)
    return f"""<section class="fl-section"><h2>Timeline <small>of this run;
<span class="fl-key fl-acting"></span> acting <span class="fl-key fl-waiting"></span> waiting until ready</small></h2>
<div class="fl-timeline">{lanes}<div class="fl-lane fl-axis"><span class="fl-lane-name"></span>
<div class="fl-track">{_axis(whole_s)}</div><span class="fl-lane-sum"></span></div></div></section>"""


def _lane(stage: GroupResult, by_id: dict[str, CriterionResult], whole_s: float) -> str:
    bars = lines(_bars(by_id[key], whole_s) for key in stage.criteria if key in by_id)
    took = f"{span_text(stage.acting_s)} + {span_text(stage.waiting_s)}" if stage.took_s else ""
    return (
        f'<div class="fl-lane"><span class="fl-lane-name">{text(stage.key)}</span>'
        f'<div class="fl-track">{bars}</div><span class="fl-lane-sum">{took}</span></div>'
    )


def _bars(one: CriterionResult, whole_s: float) -> str:
    left = 100 * (one.started_s or 0.0) / whole_s
    acting, waiting = 100 * one.acting_s / whole_s, 100 * one.waiting_s / whole_s
    said = f"{one.number} {one.info.title}: {one.word}, acting {span_text(one.acting_s)}, waiting {span_text(one.waiting_s)}"
    return (
        f'<a class="fl-bar fl-{tone(one.word)}" href="#{anchor(one.info.id)}" title="{text(said)}" '
        f'style="left:{left:.3f}%;width:{acting + waiting:.3f}%">'
        f'<i class="fl-acting" style="width:{100 * one.acting_s / one.took_s:.2f}%"></i></a>'
    )


def _axis(whole_s: float) -> str:
    step = next((step for step in _STEPS_S if whole_s / step <= _TICKS_MAX), _STEPS_S[-1])
    count = min(int(whole_s // step), 4 * _TICKS_MAX)
    return lines(
        f'<span class="fl-tick" style="left:{100 * tick * step / whole_s:.3f}%">{_clock(tick * step)}</span>'
        for tick in range(count + 1)
    )


def _clock(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02d}"
