"""Each broken precondition has its own error, failure row and exit code 1.

Once it is repaired, the same command continues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from firstlight.run import CHANGES_AHEAD
from lab.simulated.faults import Faults
from lab.simulated.paths import LabPaths
from tests.rehearsals import Rehearsal, rehearsal_on
from tests.with_tools.rehearsal.traces import (
    LAB_KEEPS,
    changes_by_the_operator,
    files_under,
    mutating_talos_calls,
    talos_calls,
)

pytestmark = [pytest.mark.timeout(900), pytest.mark.order("last")]

FACTOR = ("--budget-factor", "0.05")
"""Factor for budgets: what is broken stays broken, so waiting is pointless."""


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    for made in rehearsal_on(212, tmp_path_factory):
        assert made.lab("up").returncode == 0
        yield made


@dataclass(frozen=True)
class Broken:
    """Something to break for a while, and how a run must report it."""

    criterion: str
    error: str
    hint: str
    fault: Callable[[Rehearsal], AbstractContextManager[None]]


def faults(rehearsal: Rehearsal) -> Faults:
    return Faults(LabPaths(cluster="infra", state=rehearsal.state, checkout=rehearsal.root))


def machine(hostname: str, fault: str) -> Callable[[Rehearsal], AbstractContextManager[None]]:
    return lambda rehearsal: faults(rehearsal).machine(hostname, **{fault: True})


def signed_out(rehearsal: Rehearsal) -> AbstractContextManager[None]:
    return Faults.away(rehearsal.state / "op-session")


def unresolvable(rehearsal: Rehearsal) -> AbstractContextManager[None]:
    # In the lab's copy, because the lab fills its vault for references of the checkout.
    template = Path(rehearsal.lab_description["tree"]) / "bootstrap" / "infra" / "secrets.yaml.tpl"
    return Faults.changed(
        template,
        "op://k8s-ops/infra-deploy-key/known_hosts",
        "op://k8s-ops/no-such-item/known_hosts",
    )


PREFLIGHT = (
    Broken(
        "the-age-key-opens-the-talos-secrets",
        "cannot decrypt talsecret.sops.yaml",
        "FL-202",
        lambda rehearsal: Faults.away(
            rehearsal.state / "home" / ".config" / "sops" / "age" / "keys.txt"
        ),
    ),
    Broken(
        "1password-is-signed-in", "cannot use 1Password: nobody is signed in", "FL-201", signed_out
    ),
    Broken(
        "the-deploy-key-can-read-the-git-remote",
        "cannot read branch main of ssh://",
        "FL-061",
        lambda r: faults(r).git("unregistered"),
    ),
    Broken(
        "every-node-answers-on-its-talos-api",
        "cannot confirm infra-worker-2 (127.25.212.15) to answer on port 50000",
        "FL-006",
        machine("infra-worker-2", "down"),
    ),
    Broken(
        "every-node-answers-on-its-talos-api",
        "cannot confirm infra-cp-3 (127.25.212.13) to answer on port 50000",
        "FL-006",
        machine("infra-cp-3", "apid_closed"),
    ),
    Broken(
        "every-node-answers-on-its-talos-api",
        "certificate signed by unknown authority",
        "FL-008",
        machine("infra-cp-2", "wrong_ca"),
    ),
)


def test_a_plan_of_a_fresh_cluster_lists_the_actions_and_changes_nothing(rehearsal: Rehearsal):
    files, calls = files_under(rehearsal.state, but=LAB_KEEPS), talos_calls(rehearsal)

    result = rehearsal.run("--plan")

    plan = rehearsal.planned()
    first = "bootstrap etcd on infra-cp-1 (127.25.212.11)"
    assert result.returncode == CHANGES_AHEAD, result.stdout[-3000:]
    assert plan["the-clocks-agree"] == ("met", [])
    assert plan["etcd-is-bootstrapped-once"][0] == "will act"
    assert (
        plan["etcd-is-bootstrapped-once"][1][0]
        == f"{first}, because no control plane node has any etcd member"
    )
    assert plan["etcd-is-bootstrapped-once"][1][1].endswith(
        "--nodes 127.25.212.11 --endpoints 127.25.212.11 bootstrap"
    )
    assert plan["every-node-is-ready"][:1] == ("blocked",)
    assert plan["every-node-is-ready"][1][0].startswith(f"by: {first}, and ")
    assert all(lines for verdict, lines in plan.values() if verdict in ("will act", "blocked"))
    assert f"1. {first}" in result.stdout
    assert "a run would perform 11 actions" in result.stdout
    assert talos_calls(rehearsal) > calls
    assert mutating_talos_calls(rehearsal) == []
    assert changes_by_the_operator(rehearsal) == []
    assert files_under(rehearsal.state, but=LAB_KEEPS) == files


def test_a_plan_with_a_broken_precondition_reports_what_blocks_it(rehearsal: Rehearsal):
    with signed_out(rehearsal):
        result = rehearsal.run("--plan", "--stage", "preflight,talos")

    plan = rehearsal.planned()
    assert result.returncode == 1
    assert plan["1password-is-signed-in"][0] == "blocked"
    assert plan["every-secret-reference-resolves"] == ("blocked", ["by: 1Password is signed in"])
    assert plan["etcd-is-bootstrapped-once"][0] == "will act"
    assert plan["etcd-is-bootstrapped-once"][1][-1] == "once this holds: 1Password is signed in"
    assert "blocked by: 1Password is signed in" in result.stdout
    assert "FL-201" in result.stdout


@pytest.mark.parametrize(
    "broken",
    PREFLIGHT,
    ids=("no-age-key", "signed-out", "key-not-registered", "node-down", "port-closed", "wrong-ca"),
)
def test_preflight_reports_each_broken_precondition(rehearsal: Rehearsal, broken: Broken):
    with broken.fault(rehearsal):
        result = rehearsal.run("--stage", "preflight", *FACTOR)

    criterion = rehearsal.criterion(broken.criterion)
    assert result.returncode == 1, result.stdout[-3000:]
    assert criterion["verdict"] in ("not ready in time", "action failed")
    assert broken.error in criterion["error"]
    assert broken.hint in [hint["id"] for hint in criterion["hints"]]
    assert broken.hint in result.stdout
    assert "Traceback" not in result.stdout


def test_an_unresolvable_reference_is_reported(rehearsal: Rehearsal):
    with unresolvable(rehearsal):
        result = rehearsal.run("--stage", "preflight", *FACTOR)

    criterion = rehearsal.criterion("every-secret-reference-resolves")
    assert result.returncode == 1
    assert "no-such-item" in criterion["error"]
    assert "FL-204" in [hint["id"] for hint in criterion["hints"]]
