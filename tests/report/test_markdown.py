"""`summary.md`: what comes first, and that text never becomes markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from firstlight.checklist import Box
from firstlight.report import ReportWriter, fold
from firstlight.report.markdown import code, fenced, markdown_text, prose, table
from tests.report import streams
from tests.report.test_comparison import later, slower
from tests.report.test_model import RUNS

RENDER = MarkdownIt("commonmark").enable("table")


class Seen(HTMLParser):
    """Collects tags and text as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


def seen(markdown):
    """Return the rendered text as a browser would show it."""
    reader = Seen()
    reader.feed(RENDER.render(markdown))
    return reader


def folded(text):
    return " ".join(text.split())


def test_a_good_run_says_so_first_and_ticks_every_box():
    made = markdown_text(fold(streams.good()))

    assert made.splitlines()[0] == "# ✔ infra on nodes: done: all 17 criteria met"
    assert len(re.findall(r"^- \[x\] ", made, re.MULTILINE)) == len(Box)
    assert re.search(r"verified after 2 m 36 s of 30 m .* · 9 % of the budget$", made, re.MULTILINE)
    assert "| AC1 | ✔ met |" in made


def test_a_failure_comes_first_with_error_hint_and_next_step():
    made = markdown_text(fold(streams.failed_action()))
    sections = re.findall(r"^## (.+)$", made, re.MULTILINE)

    assert sections[0] == "✗ Cilium is deployed with cluster.id 1"
    assert "```text\ncannot install Cilium on infra: helmfile exited 1 after 12.0 s\n" in made
    assert (
        "**F21** the chart's images cannot be pulled. Check Spegel &amp; the registry, then go on"
        in made
    )
    assert "**To continue:** `./task rehearse`" in made


def test_a_long_error_is_cut_and_the_cut_is_stated():
    made = markdown_text(
        fold(streams.failed_action("\n".join(f"line {number}" for number in range(500))))
    )

    assert "line 39\n```" in made
    assert "more lines in report.html" in made


def test_what_cannot_be_verified_is_listed_with_the_reason_and_not_ticked():
    made = markdown_text(fold(streams.rehearsed()))

    assert (
        "- the simulated target has no pod-network: CoreDNS runs and resolves cluster DNS" in made
    )
    assert "- [ ] CoreDNS pods running and resolving cluster DNS: not verifiable here" in made
    assert "| op | the 1Password CLI | that the vault's own permissions are right |" in made


def test_the_summary_of_a_killed_run_says_so():
    assert "if it is not running now, it was killed" in markdown_text(fold(streams.killed()))


def test_a_slower_run_is_compared_with_the_run_before(tmp_path):
    for hours, run in enumerate(
        (streams.good(), slower(streams.good(), "cilium-is-deployed", 60)), start=1
    ):
        writer = ReportWriter(tmp_path)
        for stamped in later(run, hours):
            writer.hear(stamped)
    made = (tmp_path / "summary.md").read_text(encoding="utf-8")

    assert "1 earlier run; the last began 2026-11-23 08:32:04 UTC at `main@2ffc5d3`." in made
    assert "No verdict changed since the last run." in made
    assert re.search(r"\| 40-apps \| .* \| .* \| \*\*slower\*\* \|", made)
    assert "- slower: Cilium is deployed with cluster.id 1, 8.5 s → 1 m 08 s" in made
    assert "(9 % of the budget) |" in made


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)
def test_every_row_of_a_table_has_as_many_cells_as_its_head(run):
    rows = re.findall(r"^\|.*\|$", markdown_text(fold(run())), re.MULTILINE)
    widths = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    heads = [number for number, row in enumerate(rows) if set(row) <= set("|- ")]

    for begin, end in zip(heads, [*heads[1:], len(rows) + 1], strict=True):
        assert len(set(widths[begin - 1 : end - 1])) == 1


def test_foreign_text_cannot_become_markup():
    page = seen(markdown_text(fold(streams.hostile())))

    assert {"script", "img", "a"} & set(page.tags) == set()
    assert "<img src=x onerror=alert(2)>" in page.text


@given(run=st.sampled_from(RUNS), cut=st.floats(0, 1))
def test_any_part_of_a_run_can_be_written_as_markdown(run, cut):
    stream = run()

    assert markdown_text(fold(stream[: round(cut * len(stream))])).startswith("# ")


@given(
    st.text(
        st.characters(exclude_characters="`&", exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")),
        min_size=1,
    )
)
def test_prose_is_shown_as_it_was_written(raw):
    page = seen("x " + prose(raw))

    assert page.tags == ["p"]
    assert folded(page.text) == f"x {raw}"


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1))
def test_code_with_any_number_of_backticks_is_shown_as_it_was_written(raw):
    text = folded(raw)

    assert folded(seen("x " + code(raw)).text) == folded(f"x {text}")


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"))))
def test_text_cannot_break_out_of_a_code_block(raw):
    page = seen(fenced(f"a\n{raw}\nb") + "\n\nafter")

    assert page.tags == ["pre", "code", "p"]


def test_a_bar_does_not_end_a_cell():
    page = seen(table(("a", "b"), [(prose("x|y"), code("p|q"))]))

    assert page.tags.count("td") == 2
    assert "x|y" in page.text
    assert "p|q" in page.text
