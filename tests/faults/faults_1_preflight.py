"""Faults that preflight reports before anything is changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.bench import Bench, Case, assert_reported, check
from tests.faults.breaking import git, in_tree, machine

pytestmark = pytest.mark.timeout(900)

ANSWERS = "every-node-answers-on-its-talos-api"
RUNS = "every-machine-runs-its-configuration"


@contextmanager
def helm_four(bench: Bench) -> Iterator[None]:
    """Replace helm by one that reports version 4."""
    tools = bench.rehearsal.root / ".tools"
    real = tools.readlink()
    tools.unlink()
    tools.mkdir()
    for entry in real.iterdir():
        if entry.name != "bin":
            (tools / entry.name).symlink_to(entry)
    (tools / "bin").mkdir()
    for tool in (real / "bin").iterdir():
        (tools / "bin" / tool.name).symlink_to(tool)
    (tools / "bin" / "helm").unlink()
    (tools / "bin" / "helm").write_text("#!/bin/sh\necho v4.0.1+g12500dd\n")
    (tools / "bin" / "helm").chmod(0o755)
    try:
        yield
    finally:
        shutil.rmtree(tools)
        tools.symlink_to(real)


CASES = (
    Case(
        58,
        "helm-4",
        helm_four,
        "every_tool",
        "every-tool-is-there-at-its-pinned-version",
        "FL-058",
        "version 4.0.1",
    ),
    Case(
        6,
        "node-off",
        machine("infra-worker-2", down=True),
        "every_node_answers",
        ANSWERS,
        "FL-006",
        "infra-worker-2",
        repair_after="connection refused",
    ),
    Case(
        6,
        "port-closed",
        machine("infra-cp-3", apid_closed=True),
        "every_node_answers",
        ANSWERS,
        "FL-210",
        "infra-cp-3",
    ),
    Case(
        7,
        "node-silent",
        machine("infra-cp-2", silent=True),
        "every_node_answers",
        ANSWERS,
        "FL-007",
        "i/o timeout",
    ),
    Case(
        8,
        "other-secrets",
        machine("infra-cp-2", wrong_ca=True),
        "every_node_answers",
        ANSWERS,
        "FL-008",
        "certificate signed by unknown authority",
    ),
    Case(
        8,
        "maintenance",
        machine("infra-cp-2", maintenance=True),
        "every_node_answers",
        ANSWERS,
        "FL-008",
        "certificate signed by unknown authority",
    ),
    Case(
        18,
        "clock-behind",
        machine("infra-cp-2", time_skew_s=-86400),
        "every_node_answers",
        ANSWERS,
        "FL-018",
        "tls: expired certificate",
    ),
    Case(
        4,
        "a-worker",
        machine("infra-cp-1", as_worker=True),
        "every_machine_runs",
        RUNS,
        "FL-004",
        "runs as a worker",
    ),
    Case(
        29,
        "rate-limited",
        lambda bench: bench.faults.op("rate_limited"),
        "every_secret_reference",
        "every-secret-reference-resolves",
        "FL-029",
        "Too many requests",
        repair_after="too many requests",
    ),
    Case(
        60,
        "other-host-key",
        git("host_key"),
        "deploy_key_can_read",
        "the-deploy-key-can-read-the-git-remote",
        "FL-060",
        "Host key verification failed",
    ),
    Case(
        61,
        "key-unregistered",
        git("unregistered"),
        "deploy_key_can_read",
        "the-deploy-key-can-read-the-git-remote",
        "FL-061",
        "Permission denied (publickey)",
    ),
    Case(
        61,
        "another-repositorys-key",
        git("other_repository"),
        "deploy_key_can_read",
        "the-deploy-key-can-read-the-git-remote",
        "FL-205",
        "Repository not found",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_preflight_reports_the_fault(bench: Bench, case: Case):
    check(bench.at("fresh"), case)


def test_row_11_a_key_that_this_talos_does_not_know_is_reported(bench: Bench):
    """A patch that was written for a newer Talos.

    It is added while the run is paused, because bringing up a lab would fail on it first.
    """
    case = Case(
        11,
        "newer-key",
        in_tree(
            "clusters/infra/talos/patches/global/features.yaml",
            "machine:\n",
            "machine:\n  newKey: true\n",
        ),
        "age_key_opens or every_machine_config",
        "every-machine-config-is-valid",
        "FL-011",
        "unknown keys found during decoding",
        verdict="action failed",
    )
    bench.at("fresh")

    process = bench.begin("-k", case.selection, pause="CriterionStarted.*the-age-key-opens")
    bench.wait_for_event("CriterionStarted.*the-age-key-opens", process)
    with case.fault(bench):
        bench.resume()
        result = bench.ended(process)
    repaired = bench.run("-k", case.selection)

    assert_reported(result, case)
    assert repaired.code == 0, repaired.text[-4000:]
