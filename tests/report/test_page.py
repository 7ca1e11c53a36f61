"""The page that real pytest and pytest-html make of a run with our plugin."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from firstlight.report import ReportWriter
from tests.report import streams
from tests.report.replay import write_suite
from tests.report.test_comparison import later

CHECKOUT = Path(__file__).parents[2]
PLUGINS = ("-p", "no:cacheprovider", "-p", "pytest_metadata.plugin", "-p", "pytest_html.plugin")
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": f"{CHECKOUT}/src:{CHECKOUT}",
    "PYTHONIOENCODING": "utf-8",
    # Only what the page needs: each of the dozen runs is then several times faster.
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclass(frozen=True)
class Played:
    """A stream that was played in a real pytest run."""

    exit_code: int
    output: str
    page: str
    data: dict[str, Any]
    report: dict[str, Any]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Return the rows as pytest-html's script will draw them."""
        return [row for rows in self.data["tests"].values() for row in rows]

    def row(self, criterion: str) -> str:
        """Return the cells and the evidence of one criterion."""
        (row,) = [row for row in self.rows if row["testId"] == f"criterion-{criterion}"]
        return "".join(row["resultsTableRow"]) + "".join(row["tableHtml"])


@pytest.fixture(scope="session")
def played(tmp_path_factory):
    """Play a stream once, by name, and hand out what came of it."""
    made: dict[str, Played] = {}

    def play(name: str) -> Played:
        if name not in made:
            root = tmp_path_factory.mktemp(name)
            write_suite(root)
            made[name] = run_pytest(root, name)
        return made[name]

    return play


def pytest_on(root: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Run real pytest on the suite with a stream."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "bootstrap_tests", *PLUGINS, "--replay", name],
        cwd=root,
        env=ENVIRONMENT,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def run_pytest(root: Path, name: str) -> Played:
    """Run real pytest on the suite with a stream, and read what it left."""
    done = pytest_on(root, name)
    folder = root / "reports" / "infra-simulated"
    page = (folder / "report.html").read_text(encoding="utf-8")
    found = re.search(r'data-jsonblob="([^"]*)"', page)
    assert found is not None
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))["extra"]
    return Played(
        done.returncode,
        done.stdout + done.stderr,
        page,
        json.loads(html.unescape(found.group(1))),
        report,
    )


def test_every_criterion_is_one_row_in_our_words_whatever_pytest_made_of_it(played):
    for name in ("rehearsed", "failed_action", "not_ready", "interrupted", "plan"):
        run = played(name)

        verdicts = [
            (row["testId"].removeprefix("criterion-"), row["resultsTableRow"][1])
            for row in run.rows
        ]
        assert [key for key, _ in verdicts] == [one["id"] for one in run.report["criteria"]]
        for (_, cell), one in zip(verdicts, run.report["criteria"], strict=True):
            assert one["word"] in cell
        assert "::setup" not in run.page


def test_a_good_run_ends_well_and_says_so_on_the_page(played):
    run = played("good")

    assert run.exit_code == 0
    assert "done: all 17 criteria met" in run.page
    assert "14 of 14 ticked" in run.page
    assert '<title id="head-title">Bootstrap of infra on nodes</title>' in run.page
    assert "verified after 2 m 36 s of 30 m" in run.page


def test_a_failed_action_shows_error_hint_runbook_and_resume(played):
    run = played("failed_action")
    row = run.row("cilium-is-deployed")

    assert run.exit_code == 1
    assert "cannot install Cilium on infra: helmfile exited 1" in row
    assert "the chart&#39;s images cannot be pulled" in row
    assert 'href="../../docs/runbooks/bootstrap.md#cilium-is-deployed"' in row
    assert 'href="../../docs/troubleshooting.md#f21"' in row
    assert "then resume: <code>./task rehearse</code>" in row
    assert "Error: INSTALLATION FAILED: &lt;timed out&gt; &amp; gave up" in row
    assert "exit 1" in row


def test_a_criterion_that_was_not_ready_shows_what_was_last_seen_and_its_own_times(played):
    row = played("not_ready").row("etcd-runs-on-every-control-plane-node")

    assert "<samp>2 of 3</samp>" in row
    assert '<td class="col-acting">2.0 s</td>' in row
    assert '<td class="col-waiting">5 m 00 s</td>' in row


def test_an_interrupted_run_still_has_every_row_and_names_where_it_was(played):
    run = played("interrupted")

    assert run.exit_code == 2
    assert len(run.rows) == 17
    assert "interrupted at: the kubeconfig is generated" in run.page
    assert run.report["head"]["state"] == "interrupted"


def test_a_killed_run_leaves_a_page_that_does_not_pretend_to_go_on(played):
    run = played("killed")

    assert run.exit_code == -9
    assert "If it is not running now, it was killed" in run.page
    assert len(run.rows) == 17
    assert run.report["conclusion"]["text"] == "under way at: the kubeconfig is generated"


def test_a_killed_run_leaves_every_other_file_of_the_report(tmp_path):
    write_suite(tmp_path)

    assert run_pytest(tmp_path, "killed").exit_code == -9
    folder = tmp_path / "reports" / "infra-simulated"
    assert sorted(path.name for path in folder.iterdir()) == [
        "junit.xml",
        "report.html",
        "report.json",
        "summary.md",
    ]
    assert 'type="under way"' in (folder / "junit.xml").read_text(encoding="utf-8")
    assert "if it is not running now, it was killed" in (folder / "summary.md").read_text(
        encoding="utf-8"
    )


def test_a_run_after_another_says_on_page_and_terminal_what_no_longer_holds(tmp_path):
    write_suite(tmp_path)
    writer = ReportWriter(tmp_path / "reports" / "infra-simulated")
    for stamped in later(streams.good(), -1, "simulated"):
        writer.hear(stamped)

    run = run_pytest(tmp_path, "failed_action")

    assert "Compared with earlier runs" in run.page
    assert re.search(
        r'no longer holds</span> Cilium is deployed with cluster.id 1 <a class="fl-ref', run.page
    )
    assert "was met at 2026-11-23 06:32:04, now action failed" in run.page
    assert "no longer holds: Cilium is deployed with cluster.id 1" in run.output
    assert [change["criterion"] for change in run.report["comparison"]["regressed"]] == [
        "cilium-is-deployed"
    ]


def test_only_what_failed_is_unfolded(played):
    run = played("failed_action")

    assert [row["testId"] for row in run.rows if row["result"] == "Failed"] == [
        "criterion-cilium-is-deployed"
    ]
    assert run.data["renderCollapsed"] == ["passed"]
    assert run.data["initialSort"] == "original"


def test_the_page_is_one_file_that_loads_nothing(played):
    page = played("rehearsed").page

    assert not re.findall(
        r"<(?:link|script|img|iframe)[^>]+(?:src|href)=[\"'](?!\"|')[^\"']+", page
    )
    assert "@import" not in page
    assert "url(" not in page


def test_the_checklist_leads_to_the_evidence(played):
    run = played("rehearsed")
    shown = {row["testId"] for row in run.rows}

    leads = set(re.findall(r'href="#(criterion-[^"]+)"', run.page))

    assert leads <= shown
    assert {
        f"criterion-{one}" for box in run.report["checklist"] for one in box["criteria"]
    } <= leads


def test_without_scripts_the_same_rows_are_there(played):
    page = played("failed_action").page
    plain = re.search(r"<noscript>(.*?)</noscript>", page, re.DOTALL)

    assert plain is not None
    assert plain.group(1).count("<tbody") == 17
    assert "cannot install Cilium on infra" in plain.group(1)


class Tags(HTMLParser):
    """Collects tags and attributes as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def test_foreign_text_cannot_break_out_of_the_page(played):
    run = played("hostile")
    seen = Tags()
    seen.feed(run.page.replace('onclick="location.reload()"', ""))
    for row in run.rows:
        seen.feed("".join([*row["resultsTableRow"], *row["tableHtml"]]))
    for value in run.data["environment"].values():
        seen.feed(value)

    assert run.exit_code == 1
    assert "img" not in [tag for tag in seen.tags if tag == "img"][1:]
    assert seen.handlers == []
    assert seen.tags.count("script") == 2
    assert "\x1b" not in run.page
    assert "\x1b" not in run.output


def test_a_file_that_cannot_be_imported_ends_the_run_before_it_begins_and_leaves_the_last_report(
    tmp_path,
):
    write_suite(tmp_path)
    (tmp_path / "bootstrap_tests" / "test_00_preflight.py").write_text(
        "import nothing_of_that_name\n", encoding="utf-8"
    )
    last = tmp_path / "reports" / "infra-simulated" / "report.html"
    last.parent.mkdir(parents=True)
    last.write_text("the last run's", encoding="utf-8")

    done = pytest_on(tmp_path, "plan")

    assert done.returncode == 2
    assert "nothing_of_that_name" in done.stdout
    assert last.read_text(encoding="utf-8") == "the last run's"


def test_a_single_stage_says_that_the_others_were_not_run(played):
    run = played("one_stage")

    assert run.exit_code == 0
    assert "only 10-talos,flux, done: 3 met; 14 were not run" in run.page
    assert "2 of 14 ticked" in run.page


def test_pytest_itself_says_nothing_that_the_display_has_said(played):
    output = played("failed_action").output

    assert output.count("cannot install Cilium on infra: helmfile exited 1") == 1
    assert "test session starts" not in output
    assert "ERRORS" not in output
    assert "short test summary" not in output
    assert "Generated html report" not in output
    assert "report: reports/infra-simulated/report.html" in output
    assert "to continue: ./task rehearse" in output


def test_without_a_cluster_the_plugins_do_nothing(tmp_path):
    (tmp_path / "conftest.py").write_text(
        'pytest_plugins = ("fixtures.report", "fixtures.display")\n', encoding="utf-8"
    )
    (tmp_path / "test_it.py").write_text("def test_it():\n    pass\n", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *PLUGINS],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )

    assert done.returncode == 0
    assert "1 passed" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["conftest.py", "test_it.py"]
