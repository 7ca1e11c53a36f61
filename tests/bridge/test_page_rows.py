"""The rows of the page are rendered once per change, however often the page is written."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from firstlight.events import CriterionEnded
from firstlight.report import ReportWriter, page
from fixtures.report import PageFiller
from tests.report import streams


def test_only_a_row_that_changed_is_rendered_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rendered: list[str] = []
    render = page.row

    def counting(one: Any, *rest: Any) -> dict[str, Any]:
        rendered.append(one.info.id)
        return render(one, *rest)

    monkeypatch.setattr(page, "row", counting)
    writer = ReportWriter(tmp_path)
    filler = PageFiller(SimpleNamespace(rootpath=tmp_path), writer, tmp_path / "scratch")
    shown: Any = SimpleNamespace(
        data={"tests": {}},
        set_data=lambda *_: None,
        additional_summary={"prefix": [], "postfix": []},
    )
    filler.pytest_html_report_title(shown)
    seen: list[list[str]] = []
    for stamped in streams.good():
        writer.hear(stamped)
        if isinstance(stamped.event, CriterionEnded):
            rendered.clear()
            filler.pytest_html_results_summary()
            seen.append(sorted(rendered))
            assert stamped.event.id in rendered
    rendered.clear()

    filler.pytest_html_results_summary()

    report = writer.report()
    assert rendered == [], "nothing changed since"
    assert max(map(len, seen[1:])) < len(report.criteria), "most rows are over, or ahead"
    fresh = [render(one, report, filler._links)["resultsTableRow"] for one in report.criteria]
    assert [row["resultsTableRow"] for row in shown.data["tests"]["firstlight"]] == fresh
