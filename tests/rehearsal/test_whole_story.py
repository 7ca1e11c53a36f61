"""The whole story on the simulated target: it is met, a second run acts on nothing, and tools by hand agree."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rehearsal.conftest import Rehearsal, rehearsal_on

pytestmark = [pytest.mark.timeout(900), pytest.mark.order("first")]

NOT_HERE = {
    "coredns-resolves-cluster-names",
    "cert-managers-webhook-answers",
    "cilium-status-is-well",
    "the-ebpf-datapath-is-operational",
    "the-bgp-control-plane-is-enabled",
    "hubble-relay-answers",
    "cilium-connectivity-test-passes",
    "the-timing-is-written-into-the-runbook",
}
"""What the simulated target cannot verify, by name."""


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    yield from rehearsal_on(211, tmp_path_factory)


@pytest.fixture(scope="module")
def killed(rehearsal: Rehearsal) -> Rehearsal:
    """A run that is killed while helm installs Cilium, so that neither can tidy up."""
    process = subprocess.Popen(
        rehearsal.pytest_command(), cwd=rehearsal.root, env=rehearsal.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    with process:
        said = []
        for line in process.stdout:
            said.append(line)
            if "► install cilium" in line:
                break
        process.kill()
    assert "► install cilium" in said[-1], "".join(said[-40:])
    return rehearsal


@pytest.fixture(scope="module")
def finished(killed: Rehearsal) -> Rehearsal:
    """The same command, which goes on where the killed run was."""
    result = killed.run()
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    assert "an earlier run was cut off while it was about to install cilium 1.18.5: it is looked at anew" in result.stdout
    (killed.root / "terminal.log").write_text(result.stdout + result.stderr)
    assert killed.criterion("etcd-is-bootstrapped-once")["verdict"] == "already met"
    assert killed.criterion("release-runs-flux")["verdict"] == "met"
    return killed


def test_every_criterion_is_met_or_named_as_not_verifiable(finished: Rehearsal):
    verdicts = finished.verdicts()

    assert {name for name, verdict in verdicts.items() if verdict == "not verifiable here"} == NOT_HERE
    assert {verdict for name, verdict in verdicts.items() if name not in NOT_HERE} <= {"met", "already met"}
    assert len(verdicts) > 60


def mutating_talos_calls(rehearsal: Rehearsal) -> list[str]:
    lines = (rehearsal.state / "talos-calls.jsonl").read_text().splitlines()
    return [call["method"] for call in map(json.loads, lines) if call["mutating"]]


def changes_by_the_operator(rehearsal: Rehearsal) -> list[str]:
    changes = []
    for line in (rehearsal.state / "audit.log").read_text().splitlines():
        event = json.loads(line)
        if event["user"]["username"] == "admin" and event["verb"] not in ("get", "list", "watch") and event["stage"] == "ResponseComplete":
            changes.append(f"{event['verb']} {event['requestURI']}")
    return changes


def test_etcd_was_bootstrapped_exactly_once(finished: Rehearsal):
    assert [method for method in mutating_talos_calls(finished) if method.endswith("Bootstrap")] == ["/machine.MachineService/Bootstrap"]


def test_a_second_run_acts_on_nothing_and_says_so(finished: Rehearsal):
    talos, kubernetes = mutating_talos_calls(finished), changes_by_the_operator(finished)
    assert kubernetes

    result = finished.run()

    assert result.returncode == 0, result.stdout[-4000:]
    assert mutating_talos_calls(finished) == talos
    # Self-reviews ask what one may do; they are created and kept nowhere.
    assert [change for change in changes_by_the_operator(finished)[len(kubernetes) :] if "selfsubject" not in change] == []
    assert {verdict for name, verdict in finished.verdicts().items() if name not in NOT_HERE} == {"already met"}


def test_a_plan_of_a_finished_cluster_has_nothing_to_do(finished: Rehearsal):
    kubernetes = changes_by_the_operator(finished)

    result = finished.run("--plan")

    assert result.returncode == 0, result.stdout[-4000:]
    assert set(finished.verdicts().values()) == {"already met", "not verifiable here"}
    assert [change for change in changes_by_the_operator(finished)[len(kubernetes) :] if "selfsubject" not in change] == []


def test_tools_by_hand_agree(finished: Rehearsal):
    assert "infra-worker-3" in finished.tool("kubectl", "get", "nodes").stdout
    assert finished.tool("flux", "check").returncode == 0
    assert finished.tool("talosctl", "--nodes", "127.25.211.11", "etcd", "members").stdout.count("infra-cp-") >= 3
    again = finished.tool("talosctl", "--nodes", "127.25.211.11", "bootstrap")
    assert "AlreadyExists" in again.stderr
    assert again.returncode == 1


def test_the_kubeconfig_is_private_and_in_the_labs_own_home(finished: Rehearsal):
    kubeconfig = finished.state / "home" / ".kube" / "k8s-ops-infra"

    assert kubeconfig.stat().st_mode & 0o777 == 0o600
    assert str(kubeconfig) in finished.tool("kubectl", "config", "view", "--minify", "-v=6").stderr


def secrets_of(rehearsal: Rehearsal) -> set[str]:
    """Every secret of the rehearsal: keys of the talosconfig and kubeconfig, the deploy key, the AGE key."""
    home, tree = rehearsal.state / "home", Path(rehearsal.lab_description["tree"])
    texts = [
        (home / ".kube" / "k8s-ops-infra").read_text(),
        (tree / "clusters" / "infra" / "talos" / "clusterconfig" / "talosconfig").read_text(),
        (home / ".config" / "sops" / "age" / "keys.txt").read_text(),
        rehearsal.tool("op", "read", "op://k8s-ops/infra-deploy-key/identity").stdout,
        rehearsal.tool("sops", "--decrypt", str(tree / "clusters" / "infra" / "talos" / "talsecret.sops.yaml")).stdout,
    ]
    words = {word for text in texts for word in text.split() if len(word) > 40 or word.startswith("AGE-SECRET-KEY-")}
    # Certificates, addresses and public keys are no secrets; what is left is.
    return {word for word in words if not word.startswith(("LS0tLS1CRUdJTiBDRVJU", "age1", "http"))}


def test_no_secret_is_in_the_report_the_journal_the_logs_or_the_terminal(finished: Rehearsal):
    secrets = secrets_of(finished)
    assert len(secrets) >= 8
    folder = finished.root / "reports" / "infra-simulated"

    for path in (*folder.iterdir(), finished.state / "journal.jsonl", finished.root / "terminal.log", *(finished.state / "logs").iterdir()):
        text = path.read_text()
        assert [f"{secret[:12]}..." for secret in secrets if secret in text or secret[16:40] in text] == [], path.name
