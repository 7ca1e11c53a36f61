"""The whole story on the simulated target.

It is met, a second run changes nothing, and tools used by hand agree.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firstlight.failures import match
from firstlight.run import CHANGES_AHEAD
from firstlight.tools.orphans import _marked as marked
from tests.chaos.plan import ACTIONS
from tests.rehearsals import Rehearsal, rehearsal_on
from tests.waiting import until
from tests.with_tools.rehearsal.obstacles import canaries_of
from tests.with_tools.rehearsal.traces import (
    LAB_KEEPS,
    changes_by_the_operator,
    files_under,
    looks_by_the_operator,
    mutating_talos_calls,
    talos_calls,
)

pytestmark = [pytest.mark.timeout(900), pytest.mark.order("first")]

NOT_HERE = {
    "coredns-resolves-cluster-names",
    "coredns-answers-pods-of-other-nodes",
    "cert-managers-webhook-answers",
    "cilium-status-is-well",
    "every-agent-runs-with-the-clusters-id-and-name",
    "the-ebpf-datapath-is-operational",
    "the-bgp-control-plane-is-enabled",
    "hubble-relay-answers",
    "cilium-connectivity-test-passes",
    "the-timing-is-written-into-the-runbook",
}
"""The criteria that the simulated target cannot verify."""


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    yield from rehearsal_on(211, tmp_path_factory)


@pytest.fixture(scope="module")
def killed(rehearsal: Rehearsal) -> Rehearsal:
    """A run that is killed while helm installs Cilium, so that neither can clean up."""
    process = subprocess.Popen(
        rehearsal.pytest_command(),
        cwd=rehearsal.root,
        env=rehearsal.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process:
        said = []
        for line in process.stdout:
            said.append(line)
            if "► install cilium" in line:
                break
        assert "► install cilium" in said[-1], "".join(said[-40:])
        upgrading = wait_for_helm(rehearsal)
        process.kill()
    assert upgrading, "helm was never seen to install"
    return rehearsal


def wait_for_helm(rehearsal: Rehearsal) -> bool:
    """Wait until helm installs; report whether that was seen in time."""

    def upgrades(pid: int) -> bool:
        with contextlib.suppress(OSError):
            return b"\0upgrade\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
        return False

    return until(lambda: any(map(upgrades, marked(str(rehearsal.state)))), within_s=60)


@pytest.fixture(scope="module")
def finished(killed: Rehearsal) -> Rehearsal:
    """The same command, which continues where the killed run stopped."""
    result = killed.run()
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    assert (
        "an earlier run was killed while it was about to install cilium 1.18.5; checking again"
        in result.stdout
    )
    (killed.root / "terminal.log").write_text(result.stdout + result.stderr)
    assert killed.criterion("etcd-is-bootstrapped-once")["verdict"] == "already met"
    assert killed.criterion("release-runs-flux")["verdict"] == "met"
    return killed


def nothing_changes(rehearsal: Rehearsal) -> Callable[[], None]:
    """Return a function that asserts that everything was checked and nothing changed since now.

    It covers the machines, the API server and the disk.
    """
    calls, looks, files = (
        talos_calls(rehearsal),
        looks_by_the_operator(rehearsal),
        files_under(rehearsal.state, but=LAB_KEEPS),
    )
    talos, kubernetes = mutating_talos_calls(rehearsal), changes_by_the_operator(rehearsal)
    assert talos
    assert kubernetes

    def assert_unchanged() -> None:
        assert talos_calls(rehearsal) > calls
        assert looks_by_the_operator(rehearsal) > looks
        assert mutating_talos_calls(rehearsal) == talos
        assert changes_by_the_operator(rehearsal) == kubernetes
        assert files_under(rehearsal.state, but=LAB_KEEPS) == files

    return assert_unchanged


@contextlib.contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """Stop processes for a while."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_plan_of_a_half_done_cluster_lists_the_rest_and_changes_nothing(killed: Rehearsal):
    left_behind = list(marked(str(killed.state)))
    with stopped(left_behind):
        unchanged = nothing_changes(killed)

        result = killed.run("--plan")

        plan = killed.planned()
        assert result.returncode == CHANGES_AHEAD, result.stdout[-4000:]
        assert plan["etcd-is-bootstrapped-once"][0] == "already met"
        assert plan["crds-are-applied"][0] == "already met"
        assert plan["release-runs-cilium"][0] == "will act"
        assert plan["release-runs-cilium"][1][0].startswith(
            "install cilium 1.18.5, because cilium is "
        )
        assert (
            plan["release-runs-flux"][1][0] == "install flux 2.17.2, because flux is not installed"
        )
        assert plan["every-node-is-ready"] == ("blocked", plan["every-node-is-ready"][1])
        assert plan["every-node-is-ready"][1][0].startswith("by: install cilium 1.18.5")
        assert (
            "helmfile, which an earlier run left running, would be ended first by a run"
            in result.stdout
        )
        unchanged()


def test_every_criterion_is_met_or_listed_as_not_verifiable(finished: Rehearsal):
    verdicts = finished.verdicts()

    assert {
        name for name, verdict in verdicts.items() if verdict == "not verifiable here"
    } == NOT_HERE
    assert {verdict for name, verdict in verdicts.items() if name not in NOT_HERE} <= {
        "met",
        "already met",
    }
    assert len(verdicts) > 60


def test_etcd_was_bootstrapped_exactly_once(finished: Rehearsal):
    assert [
        method for method in mutating_talos_calls(finished) if method.endswith("Bootstrap")
    ] == ["/machine.MachineService/Bootstrap"]


def test_the_chaos_plan_lists_every_action(finished: Rehearsal):
    lines = map(json.loads, (finished.state / "journal.jsonl").read_text().splitlines())
    taken = [line["action"] for line in lines if line["event"] in ("ActionBegun", "ActionSkipped")]

    known = [
        next((known for known in ACTIONS if action.startswith(known)), action) for action in taken
    ]
    assert list(dict.fromkeys(known)) == list(ACTIONS)


def test_a_second_run_changes_nothing_and_reports_that(finished: Rehearsal):
    talos, kubernetes = mutating_talos_calls(finished), changes_by_the_operator(finished)
    assert kubernetes

    result = finished.run()

    assert result.returncode == 0, result.stdout[-4000:]
    assert mutating_talos_calls(finished) == talos
    assert changes_by_the_operator(finished) == kubernetes
    assert {verdict for name, verdict in finished.verdicts().items() if name not in NOT_HERE} == {
        "already met"
    }


def test_a_plan_of_a_finished_cluster_is_empty(finished: Rehearsal):
    report, unchanged = finished.report, nothing_changes(finished)

    result = finished.run("--plan")

    assert result.returncode == 0, result.stdout[-4000:]
    assert {verdict for verdict, _ in finished.planned().values()} == {
        "already met",
        "not verifiable here",
    }
    assert "there is nothing to do" in result.stdout
    unchanged()
    assert finished.report == report


def test_no_failure_row_matches_the_output_of_a_successful_run(finished: Rehearsal):
    """No pattern of the failure catalogue matches what tools and criteria print on success."""
    criteria = finished.report["criteria"]
    said = {
        one["id"]: "\n".join(
            (
                one["last_observation"],
                *map(str, one["evidence"].values()),
                *(
                    line
                    for each in one["commands"]
                    if each["exit_code"] == 0
                    for line in each["tail"]
                ),
            )
        )
        for one in criteria
    }
    journal, terminal = (
        path.read_text()
        for path in (finished.state / "journal.jsonl", finished.root / "terminal.log")
    )

    fired = {
        criterion: [hint.id for hint in match(text)]
        for criterion, text in said.items()
        if match(text)
    }

    assert sum(len(text) for text in said.values()) > 3000
    assert [one["id"] for one in criteria if one["hints"]] == []
    # These two criteria expect a refused push, and the row says so.
    assert fired == {
        name: ["FL-062"]
        for name in (
            "the-deploy-key-cannot-write-to-the-git-remote",
            "the-deploy-key-that-flux-uses-is-read-only",
        )
    }
    # Journal and terminal also cover the run that was killed under helm: that is FL-055.
    assert {
        hint.id for line in (*journal.splitlines(), *terminal.splitlines()) for hint in match(line)
    } <= {"FL-062", "FL-055"}


def test_tools_used_by_hand_agree(finished: Rehearsal):
    assert "infra-worker-3" in finished.tool("kubectl", "get", "nodes").stdout
    assert finished.tool("flux", "check").returncode == 0
    assert (
        finished.tool("talosctl", "--nodes", "127.25.211.11", "etcd", "members").stdout.count(
            "infra-cp-"
        )
        >= 3
    )
    again = finished.tool("talosctl", "--nodes", "127.25.211.11", "bootstrap")
    assert "AlreadyExists" in again.stderr
    assert again.returncode == 1


def test_the_kubeconfig_is_private_and_in_the_labs_home(finished: Rehearsal):
    kubeconfig = finished.state / "home" / ".kube" / "k8s-ops-infra"

    assert kubeconfig.stat().st_mode & 0o777 == 0o600
    assert str(kubeconfig) in finished.tool("kubectl", "config", "view", "--minify", "-v=6").stderr


def test_no_secret_is_in_the_report_the_journal_the_logs_or_the_terminal(finished: Rehearsal):
    secrets = canaries_of(finished)
    kept = [
        path
        for folder in (finished.root / "reports", finished.state / "logs")
        for path in folder.rglob("*")
        if path.is_file()
    ]

    assert len(secrets.secrets) >= 12
    assert (
        secrets.found_in_files(
            [*kept, finished.state / "journal.jsonl", finished.root / "terminal.log"]
        )
        == []
    )
