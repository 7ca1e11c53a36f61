"""Faults of machines and of etcd: before the bootstrap, during it, and until every member has joined."""

from __future__ import annotations

import json

import pytest

from firstlight.hints import match
from tests.faults.bench import Bench
from tests.faults.conftest import NETWORK

pytestmark = pytest.mark.timeout(900)

BOOTSTRAPPED, RUN = "etcd-is-bootstrapped-once", "etcd-runs-on-every-control-plane-node"
FIRST, SECOND = f"127.25.{NETWORK}.11", f"127.25.{NETWORK}.12"


def accepted_bootstraps(bench: Bench) -> int:
    calls = [json.loads(line) for line in (bench.state / "talos-calls.jsonl").read_text().splitlines()]
    return sum(call["method"].endswith("/Bootstrap") and call["code"] in ("OK", "Canceled") for call in calls)


def test_row_05_default_nodes_of_the_talosconfig_do_not_reach_a_bootstrap(bench: Bench):
    bench.at("fresh")
    talosconfig = bench.rehearsal.lab_description["talosconfig"]
    with bench.faults.changed(bench.tree / "clusters" / "infra" / "talos" / "clusterconfig" / "talosconfig", "", ""):
        bench.rehearsal.tool("talosctl", "--talosconfig", talosconfig, "config", "nodes", FIRST, SECOND)
        by_hand = bench.rehearsal.tool("talosctl", "--talosconfig", talosconfig, "--endpoints", FIRST, "bootstrap")
        said = bench.run("-k", "etcd_is_bootstrapped")

    assert by_hand.returncode == 1
    assert match(by_hand.stderr)[0].id == "FL-005", by_hand.stderr
    assert said.code == 0, said.text[-4000:]
    assert accepted_bootstraps(bench) == 1
    bench.stage = "talos"
