"""Without a record of the first action, the time is not verifiable, and everything else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bridge.tiny import Tiny

LAMP = """
@pytest.fixture
def etcd_made(perform):
    perform(replace(make("etcd"), title="bootstrap etcd on a lamp"))

@criterion(STAGE, AC1, title="etcd is bootstrapped", task=1, budget_s=30)
def test_etcd_is_bootstrapped(etcd_made, wait):
    wait(exists("etcd"))

@pytest.fixture
def lamp_made(perform):
    perform(make("lamp"))

@criterion(STAGE, AC1, title="there is a lamp", task=1, budget_s=30)
def test_there_is_a_lamp(lamp_made, wait):
    wait(exists("lamp"))
"""

TIMING = (Path(__file__).resolve().parents[2] / "bootstrap_tests" / "test_90_timing.py").read_text()

TIMES = {
    "all-was-ready-within-30-minutes",
    "all-was-verified-within-30-minutes",
    "the-timing-is-written-into-the-runbook",
}
RUNBOOK = """
<!-- timings:begin -->
| cluster | target | day (UTC) | ready after | verified after |
|---|---|---|---|---|
| infra | nodes | 2026-11-23 | 14 m 03 s | 20 m 10 s |
<!-- timings:end -->
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """A checklist that ends with the real criteria of stage 90, and the table that they fill."""
    made = Tiny(tmp_path, {"test_10_first.py": LAMP})
    (made.root / "bootstrap_tests" / "test_90_timing.py").write_text(TIMING)
    made.runbook.parent.mkdir(parents=True)
    made.runbook.write_text(RUNBOOK)
    return made


def test_a_complete_cluster_without_a_journal_is_complete(tiny: Tiny):
    """As on the computer of a second operator."""
    for name in ("etcd", "lamp"):
        (tiny.world / name).touch()

    result = tiny.run()

    assert result.code == 0, result.output
    assert {name for name, verdict in result.verdicts.items() if name in TIMES} == TIMES
    for name in TIMES:
        assert result.verdicts[name] == "not verifiable here"
        assert result.criterion(name)["reason"] == "no action on record"
    assert result.verdicts["a-second-run-would-act-on-nothing"] == "met"
    assert tiny.runbook.read_text() == RUNBOOK
    assert "; no action is on record" in result.output
    assert "of 30 m" not in result.output
    assert "to continue" not in result.output
    page = (tiny.root / "reports" / "infra-nodes" / "report.html").read_text()
    assert "no action is on record" in page
    assert "percent of the budget used" not in page


def test_a_plan_of_a_complete_cluster_without_a_journal_has_nothing_to_do(tiny: Tiny):
    for name in ("etcd", "lamp"):
        (tiny.world / name).touch()

    result = tiny.run("--plan")

    assert result.code == 0, result.output
    assert {result.verdicts[name] for name in TIMES} == {"not verifiable here"}


def test_a_journal_that_is_lost_costs_the_times_and_nothing_else(tiny: Tiny):
    assert tiny.run().code == 0
    (tiny.state / "journal.jsonl").unlink()
    tiny.runbook.write_text(RUNBOOK)

    result = tiny.run()

    assert result.code == 0, result.output
    assert {result.verdicts[name] for name in TIMES} == {"not verifiable here"}
    assert "no longer holds" not in result.output
    assert tiny.runbook.read_text() == RUNBOOK


def test_a_run_that_completes_what_nobody_recorded_does_not_count_from_its_own_action(tiny: Tiny):
    (tiny.world / "etcd").touch()

    result = tiny.run()

    assert result.code == 0, result.output
    assert result.verdicts["there-is-a-lamp"] == "met"
    assert {result.criterion(name)["reason"] for name in TIMES} == {
        "the bootstrap of etcd is not on record, so it is unknown when the first action was"
    }
    assert tiny.runbook.read_text() == RUNBOOK


def test_a_bootstrap_that_is_on_record_is_timed(tiny: Tiny):
    first = tiny.run()
    second = tiny.run()

    assert (first.code, second.code) == (0, 0), first.output + second.output
    assert [first.verdicts[name] for name in sorted(TIMES)] == ["met"] * 3
    assert not TIMES - {name for name, verdict in second.verdicts.items() if "met" in verdict}
    assert tiny.runbook.read_text() != RUNBOOK


def test_a_plan_that_finds_something_to_do_does_not_pass_over_the_time(tiny: Tiny):
    result = tiny.run("--plan")

    assert result.code == 20, result.output
    assert {result.verdicts[name] for name in TIMES} == {"blocked", "will act"}


def test_a_single_step_passes_over_the_time_only_without_a_record(tiny: Tiny):
    for name in ("etcd", "lamp"):
        (tiny.world / name).touch()
    without = tiny.run("--stage", "verify")
    for name in ("etcd", "lamp"):
        (tiny.world / name).unlink()
    assert tiny.run().code == 0
    recorded = tiny.run("--stage", "verify")

    name = "all-was-ready-within-30-minutes"
    assert (without.code, without.verdicts[name]) == (0, "not verifiable here")
    assert (recorded.code, recorded.verdicts[name]) == (0, "already met")
