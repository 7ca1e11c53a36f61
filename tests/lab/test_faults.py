"""Nested faults: ending one leaves the others as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.simulated.faults import FILE, Faults, current_fault
from lab.simulated.paths import LabPaths


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    return Faults(LabPaths(cluster="infra", state=tmp_path, checkout=tmp_path))


def in_file(faults: Faults) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((faults.paths.state / FILE).read_text())
    return document


def test_a_nested_fault_of_the_git_server_restores_the_outer_one(faults: Faults):
    with faults.git("down"):
        with faults.git("host_key"):
            assert current_fault(faults.paths.state, "git") == "host_key"
        assert current_fault(faults.paths.state, "git") == "down"

    assert current_fault(faults.paths.state, "git") == ""


def test_faults_of_one_machine_combine_and_end_separately(faults: Faults):
    with faults.machine("infra-cp-1", silent=True):
        with faults.machine("infra-cp-1", down=True), faults.machine("infra-cp-2", wrong_ca=True):
            assert in_file(faults)["nodes"] == {
                "infra-cp-1": {"silent": True, "down": True},
                "infra-cp-2": {"wrong_ca": True},
            }
        assert in_file(faults) == {"nodes": {"infra-cp-1": {"silent": True}}}

    assert not (faults.paths.state / FILE).exists()


def test_faults_of_different_parts_are_independent(faults: Faults):
    with faults.op("rate_limited"):
        with faults.pods("kube-system/cilium-", "crash"):
            assert set(in_file(faults)) == {"op", "pods"}
        assert in_file(faults) == {"op": "rate_limited"}
