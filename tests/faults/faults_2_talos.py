"""Faults of machines and etcd: before and during the bootstrap, and until every member joined."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from firstlight.failures import match
from tests.faults.bench import Bench, Case, check, check_in_turn
from tests.faults.breaking import machine
from tests.faults.conftest import NETWORK
from tests.waiting import until

pytestmark = pytest.mark.timeout(900)

BOOTSTRAPPED, RUN = "etcd-is-bootstrapped-once", "etcd-runs-on-every-control-plane-node"
FIRST, SECOND = f"127.25.{NETWORK}.11", f"127.25.{NETWORK}.12"


@contextmanager
def rebooted_as(bench: Bench, hostname: str, address: str, **switches: object) -> Iterator[None]:
    """Power-cycle a machine with faults that show while it boots."""
    with bench.faults.machine(hostname, **switches):
        with bench.faults.machine(hostname, down=True):
            wait_for_port(address, is_open=False)
        wait_for_port(address, is_open=True)
        yield
    with bench.faults.machine(hostname, down=True):
        wait_for_port(address, is_open=False)
    wait_for_port(address, is_open=True)


def wait_for_port(address: str, *, is_open: bool) -> None:
    def so() -> bool:
        with socket.socket() as probe:
            return (probe.connect_ex((address, 50000)) == 0) is is_open

    assert until(so, within_s=30), f"{address}:50000 is {'closed' if is_open else 'open'}"


FRESH = (
    Case(
        2,
        "still-booting",
        lambda bench: rebooted_as(bench, "infra-cp-1", FIRST, not_booted=True),
        "etcd_is_bootstrapped",
        BOOTSTRAPPED,
        "FL-002",
        "has not started its services yet",
        repair_after="has not started its services",
    ),
    Case(
        3,
        "no-time-sync",
        lambda bench: rebooted_as(bench, "infra-cp-1", FIRST, time_unsynced=True),
        "etcd_is_bootstrapped",
        BOOTSTRAPPED,
        "FL-003",
        "time is not in sync yet",
        repair_after="time is not in sync yet",
    ),
    Case(
        1,
        "leftovers",
        machine("infra-cp-1", etcd_leftovers=True),
        "etcd_is_bootstrapped",
        BOOTSTRAPPED,
        "FL-001",
        "data directory is not empty",
    ),
)


@pytest.mark.parametrize("case", FRESH, ids=str)
def test_a_machine_that_refuses_the_bootstrap_is_reported(bench: Bench, case: Case):
    bench.at("fresh")

    check(bench, case)

    bench.stage = "begun"


def accepted_bootstraps(bench: Bench) -> int:
    calls = [
        json.loads(line) for line in (bench.state / "talos-calls.jsonl").read_text().splitlines()
    ]
    return sum(
        call["method"].endswith("/Bootstrap") and call["code"] in ("OK", "Canceled")
        for call in calls
    )


def test_row_01_a_bootstrap_with_a_lost_answer_counts_once_members_prove_it(bench: Bench):
    bench.at("fresh")

    with bench.faults.machine("infra-cp-1", bootstrap_answer_lost=True):
        result = bench.run("-k", "etcd_is_bootstrapped")

    assert result.code == 0, result.text[-4000:]
    assert result.verdict(BOOTSTRAPPED) == "met"
    events = bench.event_log.read_text()
    assert "data directory is not empty" in events
    assert match("etcd data directory is not empty")[0].id == "FL-001"
    assert accepted_bootstraps(bench) == 1
    bench.stage = "begun"


def test_machines_that_were_configured_long_ago_are_bootstrapped(bench: Bench):
    """Their etcd has given up after half an hour. Talos bootstraps it anyway and restarts it."""
    bench.at("fresh")

    with bench.faults.machine("infra-cp-1", etcd_join_times_out=True):
        result = bench.run("-k", "etcd_is_bootstrapped")

    assert result.code == 0, result.text[-4000:]
    assert result.verdict(BOOTSTRAPPED) == "met"
    assert accepted_bootstraps(bench) == 1
    bench.stage = "begun"


def test_row_05_default_nodes_of_the_talosconfig_do_not_affect_the_bootstrap(bench: Bench):
    bench.at("fresh")
    talosconfig = bench.rehearsal.lab_description["talosconfig"]
    with bench.faults.changed(
        bench.tree / "clusters" / "infra" / "talos" / "clusterconfig" / "talosconfig", "", ""
    ):
        bench.rehearsal.tool(
            "talosctl", "--talosconfig", talosconfig, "config", "nodes", FIRST, SECOND
        )
        by_hand = bench.rehearsal.tool(
            "talosctl", "--talosconfig", talosconfig, "--endpoints", FIRST, "bootstrap"
        )
        result = bench.run("-k", "etcd_is_bootstrapped")

    assert by_hand.returncode == 1
    assert match(by_hand.stderr)[0].id == "FL-005", by_hand.stderr
    assert result.code == 0, result.text[-4000:]
    assert accepted_bootstraps(bench) == 1
    bench.stage = "begun"


def bootstrapped_by_hand(bench: Bench) -> None:
    assert (
        bench.rehearsal.tool(
            "talosctl", "--nodes", FIRST, "--endpoints", FIRST, "bootstrap"
        ).returncode
        == 0
    )
    wait_for_members(bench, 2)


def wait_for_members(bench: Bench, number: int) -> None:
    def so() -> bool:
        listed = bench.rehearsal.tool(
            "talosctl", "--nodes", FIRST, "--endpoints", FIRST, "etcd", "members"
        ).stdout
        return listed.count("infra-cp-") >= number

    assert until(so, within_s=60, pause_s=0.3), f"etcd never had {number} members"


def reboot_as_the_hint_says(bench: Bench) -> None:
    """Reboot the machine, as the hint says: a failed etcd is not started again before that."""
    address = ("--nodes", SECOND, "--endpoints", SECOND)
    etcd = ("talosctl", *address, "service", "etcd")
    assert re.search(r"^STATE +Failed", bench.rehearsal.tool(*etcd).stdout, re.MULTILINE)
    rebooted = bench.rehearsal.tool("talosctl", *address, "reboot", "--wait=false")
    assert rebooted.returncode == 0, rebooted.stderr

    def tries_again() -> bool:
        return (
            re.search(r"^STATE +Preparing", bench.rehearsal.tool(*etcd).stdout, re.MULTILINE)
            is not None
        )

    assert until(tries_again, within_s=60, pause_s=0.3), (
        f"etcd of {SECOND} does not try again: {bench.rehearsal.tool(*etcd).stdout}"
    )


JOINING = (
    Case(
        14,
        "no-address",
        machine("infra-cp-2", etcd_no_spec=True),
        "etcd_runs",
        RUN,
        "FL-014",
        "Waiting for etcd spec",
        prepare=bootstrapped_by_hand,
        factor="0.005",
    ),
    Case(
        13,
        "cannot-join",
        machine("infra-cp-2", etcd_no_spec=False, etcd_join_times_out=True),
        "etcd_runs",
        RUN,
        "FL-013",
        "failed to build initial etcd cluster",
        factor="0.005",
    ),
    Case(
        12,
        "waits-to-join",
        machine("infra-cp-2", etcd_join_times_out=False, etcd_join_stalls=True),
        "etcd_runs",
        RUN,
        "FL-012",
        "infra-cp-2 is Preparing",
        prepare=reboot_as_the_hint_says,
        repair_after="not in agreement",
        factor="0.005",
    ),
)


def test_an_etcd_member_that_does_not_join_is_reported_for_each_cause(bench: Bench):
    bench.at("fresh")

    check_in_turn(bench, *JOINING)

    bench.stage = "begun"


def test_row_15_two_etcd_clusters_stop_the_run_and_the_remedy_works(bench: Bench):
    bench.at("fresh")
    for address in (FIRST, SECOND):
        by_hand = bench.rehearsal.tool(
            "talosctl", "--nodes", address, "--endpoints", address, "bootstrap"
        )
        assert by_hand.returncode == 0, by_hand.stderr

    result = bench.run("--stage", "talos", "--budget-factor", "0.05")

    assert result.code == 1
    assert result.verdict("no-other-etcd-cluster-exists") == "not ready in time"
    assert result.hints("no-other-etcd-cluster-exists")[0] == "FL-015"
    assert result.verdict(BOOTSTRAPPED) == "not reached"

    wiped = bench.rehearsal.tool(
        "talosctl",
        "--nodes",
        SECOND,
        "--endpoints",
        SECOND,
        "reset",
        "--graceful=false",
        "--reboot",
        "--system-labels-to-wipe",
        "EPHEMERAL",
        "--wait=false",
    )
    assert wiped.returncode == 0, wiped.stderr
    result = bench.run("--stage", "talos")
    assert result.code == 0, result.text[-4000:]
    bench.stage = "talos"
