"""`report.json`: its format, and that a killed run leaves one."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.events import CriterionEnded, CriterionStarted
from firstlight.files import write_atomically
from firstlight.report import ReportWriter, ctrf, fold, to_json
from tests.report import streams
from tests.report.test_model import RUNS


def test_ctrf_passes_only_what_was_verified():
    made = to_json(fold(streams.failed_action()))

    assert (made["reportFormat"], made["specVersion"]) == ("CTRF", "0.0.0")
    summary = made["results"]["summary"]
    assert {
        key: summary[key] for key in ("tests", "passed", "failed", "skipped", "pending", "other")
    } == {
        "tests": 17,
        "passed": 7,
        "failed": 1,
        "skipped": 9,
        "pending": 0,
        "other": 0,
    }
    failed = next(test for test in made["results"]["tests"] if test["status"] == "failed")
    assert failed["rawStatus"] == "action failed"
    assert failed["duration"] == 12000
    assert failed["message"] == "cannot install Cilium on infra: helmfile exited 1 after 12.0 s"


def test_extra_has_exactly_the_documented_keys():
    extra = to_json(fold(streams.not_ready()))["extra"]

    for name in ("head", "conclusion", "timing"):
        assert set(extra[name]) == documented(name)
    assert set(extra["criteria"][0]) == documented("criteria")
    for name in ("acceptance", "checklist", "stages"):
        assert set(extra[name][0]) == documented("stages")
    assert set(extra) == {
        "schema",
        "head",
        "conclusion",
        "timing",
        "counts",
        "criteria",
        "acceptance",
        "checklist",
        "stages",
        "comparison",
        "outside_commands",
        "diagnostics",
    }


def documented(name: str) -> set[str]:
    """Return the keys that the module's docstring lists for a part of the schema."""
    text = ctrf.__doc__ or ""
    found = re.search(
        rf"^    [^\n]*\b{name}\b *\n?\s+(.*?)(?=^    \S|\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert found is not None, name
    listed = found.group(1).strip()
    listed = listed[2:-2] if listed.startswith("[{") else listed
    return set(re.findall(r"\w+", re.sub(r"\[\{[^\[\]]*\}\]", "", listed)))


@given(run=st.sampled_from(RUNS), cut=st.floats(0, 1))
def test_any_part_of_a_run_can_be_written_as_json(run, cut):
    stream = run()

    text = json.dumps(to_json(fold(stream[: round(cut * len(stream))])), allow_nan=False)

    assert json.dumps(json.loads(text)) == text


def test_a_killed_run_leaves_the_report_of_what_it_did(tmp_path):
    writer = ReportWriter(tmp_path / "reports")

    for stamped in streams.killed():
        writer.hear(stamped)

    written = json.loads((tmp_path / "reports" / "report.json").read_text(encoding="utf-8"))[
        "extra"
    ]
    assert written["head"]["state"] == "under way"
    assert written["counts"] == {"met": 2, "already met": 2, "under way": 1, "not begun": 12}
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == [
        "junit.xml",
        "report.json",
        "summary.md",
    ]


def test_the_files_are_written_once_per_criterion_and_show_every_verdict(tmp_path):
    writer, stream = ReportWriter(tmp_path), streams.good()
    file = tmp_path / "report.json"
    written: list[list[str]] = []
    for stamped in stream:
        before = file.stat().st_ino if file.exists() else 0
        writer.hear(stamped)
        if file.exists() and file.stat().st_ino != before:
            tests = json.loads(file.read_text())["results"]["tests"]
            written.append([one["status"] for one in tests])

    begun = sum(isinstance(stamped.event, CriterionStarted) for stamped in stream)
    assert len(written) == begun + 2, "and when the run begins and ends"
    # When a criterion begins, every verdict before it is on disk.
    assert [statuses.count("passed") for statuses in written[1:3]] == [0, 1]


def test_a_failure_is_on_disk_before_diagnostics_are_collected(tmp_path):
    writer = ReportWriter(tmp_path)
    for stamped in streams.not_ready():
        writer.hear(stamped)
        if isinstance(stamped.event, CriterionEnded) and stamped.event.verdict.failed:
            break

    tests = json.loads((tmp_path / "report.json").read_text())["results"]["tests"]

    assert [one["status"] for one in tests].count("failed") == 1


def test_a_report_that_cannot_be_written_does_not_stop_the_run(tmp_path):
    (tmp_path / "reports").write_text("in the way", encoding="utf-8")
    writer = ReportWriter(tmp_path / "reports")

    for stamped in streams.good():
        writer.hear(stamped)

    assert re.fullmatch(r"cannot write .*report\.json: .+", writer.trouble)
    assert writer.report().conclusion.text == "done: all 17 criteria met"


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "report.json"
    write_atomically(path, "old")

    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")

    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]
