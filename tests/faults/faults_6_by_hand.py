"""Errors of the real talosctl that no run meets, but people do: their failure rows match."""

from __future__ import annotations

import pytest

from firstlight.failures import match
from tests.faults.bench import Bench
from tests.faults.conftest import NETWORK

pytestmark = pytest.mark.timeout(900)

FIRST = f"127.25.{NETWORK}.11"


def hint_ids(bench: Bench, *words: str) -> list[str]:
    done = bench.rehearsal.tool("talosctl", *words)
    assert done.returncode != 0, done.stdout
    return [hint.id for hint in match(f"$ talosctl {' '.join(words)}\n{done.stdout}{done.stderr}")]


def test_row_9_a_configured_machine_requires_a_certificate(bench: Bench):
    bench.at("fresh" if bench.stage == "none" else bench.stage)
    file = next((bench.tree / "clusters" / "infra" / "talos" / "clusterconfig").glob("*cp-1.yaml"))

    assert "FL-009" in hint_ids(
        bench,
        "--nodes",
        FIRST,
        "--endpoints",
        FIRST,
        "apply-config",
        "--insecure",
        "--file",
        str(file),
    )


def test_row_10_the_maintenance_service_has_few_methods(bench: Bench):
    bench.at("fresh" if bench.stage == "none" else bench.stage)
    with bench.faults.machine("infra-cp-3", maintenance=True):
        address = f"127.25.{NETWORK}.13"
        for _ in range(100):
            hints = hint_ids(
                bench,
                "--nodes",
                address,
                "--endpoints",
                address,
                "version",
                "--insecure",
                "--short",
            )
            if "FL-010" in hints:
                return
    raise AssertionError(f"never hint_ids so: {hints}")


def test_row_68_containers_need_both_settings_of_hostdns(bench: Bench, tmp_path):
    bench.at("fresh" if bench.stage == "none" else bench.stage)
    file = next((bench.tree / "clusters" / "infra" / "talos" / "clusterconfig").glob("*cp-1.yaml"))
    text = file.read_text().replace("forwardKubeDNSToHost: true", "forwardKubeDNSToHost: false")
    (tmp_path / "config.yaml").write_text(text)

    assert "FL-068" in hint_ids(
        bench, "validate", "--config", str(tmp_path / "config.yaml"), "--mode", "container"
    )
