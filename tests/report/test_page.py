"""The page that real pytest and pytest-html write with our plugin."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from firstlight.report import ReportWriter
from tests import warm
from tests.report import streams
from tests.report.replay import write_suite
from tests.report.test_comparison import later

CHECKOUT = Path(__file__).parents[2]
PLUGINS = ("-p", "no:cacheprovider", "-p", "pytest_metadata.plugin", "-p", "pytest_html.plugin")
ENVIRONMENT = {
    "PATH": os.defpath,
    "PYTHONPATH": f"{CHECKOUT}/src:{CHECKOUT}:.",
    "PYTHONIOENCODING": "utf-8",
    # Loading only what the page needs makes each run several times faster.
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
}


@dataclass(frozen=True)
class Played:
    """The result of a stream that was played in a real pytest run."""

    exit_code: int
    output: str
    page: str
    data: dict[str, Any]
    report: dict[str, Any]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Return the rows that pytest-html's script draws."""
        return [row for rows in self.data["tests"].values() for row in rows]

    def row(self, criterion: str) -> str:
        """Return the cells and the evidence of one criterion."""
        (row,) = [row for row in self.rows if row["testId"] == f"criterion-{criterion}"]
        return "".join(row["resultsTableRow"]) + "".join(row["tableHtml"])


@pytest.fixture(scope="session")
def played(tmp_path_factory):
    """Play each stream once, by name, and return the result."""
    made: dict[str, Played] = {}

    def play(name: str) -> Played:
        if name not in made:
            root = tmp_path_factory.mktemp(name)
            write_suite(root)
            made[name] = run_pytest(root, name)
        return made[name]

    return play


def pytest_on(root: Path, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run real pytest on the suite with a stream."""
    return warm.run_pytest(
        "bootstrap_tests",
        *PLUGINS,
        *options,
        "--replay",
        name,
        folder=root,
        environment=ENVIRONMENT,
    )


def run_pytest(root: Path, name: str) -> Played:
    """Run real pytest on the suite with a stream, and read the report."""
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


def test_every_criterion_is_one_row_with_our_verdict(played):
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


def test_the_page_of_a_good_run_says_that_it_is_done(played):
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


def test_an_unmet_criterion_shows_its_last_observation_and_its_times(played):
    row = played("not_ready").row("etcd-runs-on-every-control-plane-node")

    assert "<samp>2 of 3</samp>" in row
    assert '<td class="col-acting">2.0 s</td>' in row
    assert '<td class="col-waiting">5 m 00 s</td>' in row


def test_an_interrupted_run_has_every_row_and_names_its_current_criterion(played):
    run = played("interrupted")

    assert run.exit_code == 2
    assert len(run.rows) == 17
    assert "interrupted at: the kubeconfig is generated" in run.page
    assert run.report["head"]["state"] == "interrupted"


def test_a_killed_run_leaves_a_page_that_says_so(played):
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


def test_page_and_terminal_state_what_no_longer_holds(tmp_path):
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


def test_only_failed_rows_are_expanded(played):
    run = played("failed_action")

    assert [row["testId"] for row in run.rows if row["result"] == "Failed"] == [
        "criterion-cilium-is-deployed"
    ]
    assert run.data["renderCollapsed"] == ["passed"]
    assert run.data["initialSort"] == "original"


def test_the_page_is_self_contained(played):
    page = played("rehearsed").page

    assert not re.findall(
        r"<(?:link|script|img|iframe)[^>]+(?:src|href)=[\"'](?!\"|')[^\"']+", page
    )
    assert "@import" not in page
    assert "url(" not in page


def test_the_checklist_links_to_the_evidence(played):
    run = played("rehearsed")
    shown = {row["testId"] for row in run.rows}

    leads = set(re.findall(r'href="#(criterion-[^"]+)"', run.page))

    assert leads <= shown
    assert {
        f"criterion-{one}" for box in run.report["checklist"] for one in box["criteria"]
    } <= leads


def test_without_scripts_the_page_has_the_same_rows(played):
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


def test_a_file_that_fails_to_import_leaves_the_last_report(
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


def test_a_page_that_cannot_be_written_does_not_end_the_run(tmp_path):
    write_suite(tmp_path)
    page = tmp_path / "reports" / "infra-simulated" / "report.html"
    page.mkdir(parents=True)

    done = pytest_on(tmp_path, "good")

    assert done.returncode == 0
    assert f"cannot write {page}: Is a directory" in done.stdout
    assert (page.parent / "report.json").exists()


def test_a_full_disk_under_pytest_html_does_not_end_the_run(tmp_path):
    write_suite(tmp_path)
    page = tmp_path / "reports" / "infra-simulated" / "report.html"
    (tmp_path / "full_disk.py").write_text(
        "import errno, os, pathlib\n"
        "write = pathlib.Path.open\n"
        "def full(path, *words, **options):\n"
        "    if path.name.startswith('.report.html.') and 'w' in words:\n"
        "        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n"
        "    return write(path, *words, **options)\n"
        "pathlib.Path.open = full\n",
        encoding="utf-8",
    )

    done = pytest_on(tmp_path, "good", "-p", "full_disk")

    assert done.returncode == 0
    assert f"cannot write {page}: No space left on device" in done.stdout
    assert not page.exists()


def test_nothing_but_the_report_is_left_in_its_folder(tmp_path):
    write_suite(tmp_path)

    run_pytest(tmp_path, "good")

    assert {path.name for path in (tmp_path / "reports" / "infra-simulated").iterdir()} == {
        "junit.xml",
        "report.html",
        "report.json",
        "summary.md",
    }


def test_half_a_page_that_a_killed_run_left_is_removed_by_the_next_run(tmp_path):
    write_suite(tmp_path)
    folder = tmp_path / "reports" / "infra-simulated"
    (tmp_path / "killed_writing.py").write_text(
        "import os, pathlib, signal\n"
        "open_file = pathlib.Path.open\n"
        "def die(path, *words, **options):\n"
        "    file = open_file(path, *words, **options)\n"
        "    if path.name.startswith('.report.html.') and 'w' in words:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return file\n"
        "pathlib.Path.open = die\n",
        encoding="utf-8",
    )
    killed = pytest_on(tmp_path, "good", "-p", "killed_writing")
    left = [path.name for path in folder.iterdir()]

    run_pytest(tmp_path, "good")

    assert killed.returncode == -9
    assert [name.startswith(".report.html.") for name in left] == [True]
    assert left[0] not in {path.name for path in folder.iterdir()}


def test_another_path_for_the_page_is_respected(tmp_path):
    write_suite(tmp_path)

    done = pytest_on(tmp_path, "good", "--html", "elsewhere/page.html")

    assert "report: elsewhere/page.html" in done.stdout
    assert "done: all 17 criteria met" in (tmp_path / "elsewhere" / "page.html").read_text(
        encoding="utf-8"
    )
    assert not (tmp_path / "reports" / "infra-simulated" / "report.html").exists()


def test_a_partial_run_states_how_many_criteria_were_not_run(played):
    run = played("one_stage")

    assert run.exit_code == 0
    assert "only 10-talos,flux, done: 3 met; 14 were not run" in run.page
    assert "2 of 14 ticked" in run.page


def test_pytest_does_not_repeat_what_the_display_has_shown(played):
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

    done = warm.run_pytest(*PLUGINS, folder=tmp_path, environment=ENVIRONMENT)

    assert done.returncode == 0
    assert "1 passed" in done.stdout
    left = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
    assert left == {"conftest.py", "test_it.py"}
