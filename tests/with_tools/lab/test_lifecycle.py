"""A whole lab with the real tools: up, up again, killed, next to another lab, and down."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from firstlight.clock import SystemClock
from firstlight.errors import ClusterLocked, DefinitionError, TargetError, ToolMissing
from firstlight.lock import cluster_lock
from firstlight.process import CommandResult, run
from firstlight.target import run_lock
from lab.simulated import processes, status, tree, workstation
from lab.simulated.description import exports, owner
from lab.simulated.ending import down
from lab.simulated.lifecycle import up
from lab.simulated.paths import MARK, LabPaths
from lab.simulated.vault import read_account, resolve_for_read
from tests.lab.support import CALL_S, ROOT, git

NUMBER = 200 + 2 * (os.getpid() % 25)
NETWORKS = {"10.25.11.": f"10.25.{NUMBER}.", "10.25.13.": f"10.25.{NUMBER + 1}."}
"""Networks of the tests' labs. A rehearsal or other tests can run at the same time."""

LAB = f"127.25.{NUMBER}"


def quietly(_text: str) -> None:
    """Print nothing."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("lab", "src", ".tools"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("clusters", "bootstrap"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("clusterconfig"))
    shutil.copy(ROOT / ".sops.yaml", folder)
    for file in [
        file
        for name in ("clusters", "bootstrap")
        for file in (folder / name).rglob("*")
        if file.is_file()
    ]:
        text = file.read_text()
        for ours, theirs in NETWORKS.items():
            text = text.replace(ours, theirs)
        file.write_text(text)
    return folder


@pytest.fixture(scope="module")
def lab(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabPaths]:
    """A lab that is up. It is ended after the module, whatever state the tests left it in."""
    paths = LabPaths(
        cluster="infra",
        state=tmp_path_factory.mktemp("state").resolve() / "infra",
        checkout=checkout,
    )
    try:
        assert up(paths, quietly)
        yield paths
    finally:
        down(paths, quietly)
    assert list(processes.marked(paths.state)) == []


def call(paths: LabPaths, *words: str | Path, **more: str) -> CommandResult:
    environment = json.loads(paths.description.read_text())["environment"]
    return run(words, timeout_s=CALL_S, env={**environment, **more})


def secret(paths: LabPaths, reference: str) -> str:
    return resolve_for_read(read_account(paths.vault, workstation.vault_key(paths)), reference)


def test_a_lab_that_is_up_answers_everywhere(lab: LabPaths):
    seen = status.observe(lab)

    assert seen.is_up, "\n".join(seen.lines)
    assert not status.is_bootstrapped(lab)
    assert sum(f"{LAB}.1" in line and "answers" in line for line in seen.lines) == 9


def test_a_second_up_does_nothing(lab: LabPaths):
    head, before = tree.head(lab), lab.description.read_bytes()
    lines: list[str] = []

    assert not up(lab, lines.append)
    assert lines == []
    assert (tree.head(lab), lab.description.read_bytes()) == (head, before)


def test_another_checkout_uses_the_lab_only_if_it_takes_it_over(
    lab: LabPaths, checkout: Path, tmp_path: Path
):
    theirs = replace(
        lab, checkout=shutil.copytree(checkout, tmp_path / "other", symlinks=True).resolve()
    )
    before = lab.description.read_bytes()
    lines: list[str] = []

    with pytest.raises(TargetError, match=rf"belongs to another checkout\n  owner     {checkout} "):
        up(theirs, lines.append)
    assert (lab.description.read_bytes(), lines) == (before, [])
    with (
        cluster_lock(run_lock(lab.state), "infra", SystemClock()),
        pytest.raises(
            ClusterLocked, match="cannot bring up the lab of infra: another run holds it"
        ),
    ):
        up(theirs, lines.append, take_over=True)
    assert (lab.description.read_bytes(), lines) == (before, [])

    up(theirs, lines.append, take_over=True)
    owner_then = owner(lab)
    up(lab, lines.append, take_over=True)

    assert lines[0] == f"taking over the lab of infra from the checkout {checkout}"
    assert (owner_then, owner(lab)) == (theirs.checkout, checkout)
    assert status.observe(lab).is_up


def test_talosctl_gets_an_answer_with_the_generated_talosconfig(lab: LabPaths):
    answered = call(
        lab, "talosctl", "--nodes", f"{LAB}.11", "--endpoints", f"{LAB}.11", "version", "--short"
    )

    assert answered.ok, answered.stderr
    assert "v1.12.0" in answered.stdout


def test_op_resolves_every_reference_of_the_definition(lab: LabPaths):
    rendered = call(
        lab,
        "sh",
        "-c",
        'op whoami > /dev/null && op inject < "$0"',
        lab.tree / "bootstrap/infra/secrets.yaml.tpl",
    )

    assert rendered.ok, rendered.stderr
    assert "op://k8s-ops" not in rendered.stdout
    assert workstation.age_key(lab) in rendered.stdout


def test_the_deploy_key_of_the_vault_reads_the_remote_but_cannot_write(
    lab: LabPaths, tmp_path: Path
):
    fields = {
        name: base64.b64decode(secret(lab, f"op://k8s-ops/infra-deploy-key/{name}"))
        for name in ("identity", "known_hosts")
    }
    for name, content in fields.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    options = (
        f"-F /dev/null -i {tmp_path / 'identity'} "
        "-o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes"
    )
    ssh = {"GIT_SSH_COMMAND": f"ssh {options} -o UserKnownHostsFile={tmp_path / 'known_hosts'}"}
    url = json.loads(lab.description.read_text())["git"]["url"]

    cloned = git("clone", "--quiet", url, tmp_path / "clone", env=ssh)

    assert cloned.ok, cloned.stderr
    assert git("-C", tmp_path / "clone", "rev-parse", "HEAD").stdout.strip() == tree.head(lab)
    assert (
        "marked as read only"
        in git(
            "-C", tmp_path / "clone", "push", "--dry-run", "origin", "HEAD:refs/heads/x", env=ssh
        ).stderr
    )


def test_the_charts_are_served_from_the_sources_of_the_definition(lab: LabPaths):
    pulled = call(
        lab,
        "helm",
        "show",
        "chart",
        f"oci://{LAB}.1:5000/charts/cert-manager",
        "--version",
        "v1.19.2",
        "--plain-http",
    )
    listed = call(
        lab,
        "helm",
        "show",
        "chart",
        "cilium",
        "--repo",
        f"http://{LAB}.1:8080/charts",
        "--version",
        "1.18.5",
    )

    assert "name: cert-manager" in pulled.stdout, pulled.stderr
    assert "name: cilium" in listed.stdout, listed.stderr


def test_an_interactive_shell_gets_neither_home_nor_mark_of_the_lab(lab: LabPaths):
    names = {line.removeprefix("export ").partition("=")[0] for line in exports(lab)}

    assert {"PATH", "KUBECONFIG", "TALOSCONFIG", "SOPS_AGE_KEY_FILE"} <= names
    assert not names & {"HOME", MARK}


def test_secrets_are_readable_only_where_an_operator_has_them_too(lab: LabPaths):
    generated = lab.tree / "clusters" / "infra" / "talos" / "clusterconfig"
    age_key, identity = (
        workstation.age_key(lab),
        secret(lab, "op://k8s-ops/infra-deploy-key/identity"),
    )
    ca_key = next(
        line.split()[-1]
        for line in (generated / "infra-infra-cp-1.yaml").read_text().splitlines()
        if line.strip().startswith("key: ")
    )
    body = base64.b64decode(identity).splitlines()[3]

    def holders(value: bytes) -> set[Path]:
        return {
            file for file in lab.state.rglob("*") if file.is_file() and value in file.read_bytes()
        }

    assert holders(age_key.encode()) == {lab.age_keys}
    assert holders(identity.encode()) | holders(body) == set()
    assert {file.parent for file in holders(ca_key.encode())} == {generated}
    assert all(
        file.stat().st_mode & 0o077 == 0
        for file in [
            *generated.iterdir(),
            lab.age_keys,
            lab.vault,
            lab.op_account,
            lab.git / "host_key",
        ]
    )


def test_killed_machines_come_back_with_their_state(lab: LabPaths):
    killed, git_server = processes.running(lab, "machines"), processes.running(lab, "git-server")
    head, talosconfig = (
        tree.head(lab),
        Path(json.loads(lab.description.read_text())["talosconfig"]).read_bytes(),
    )
    assert killed is not None
    assert processes.end([killed.pid], lab.state, terminate_s=0.0, kill_s=5.0) == ()
    assert not status.observe(lab).is_up

    assert up(lab, quietly)
    assert status.observe(lab).is_up
    assert processes.running(lab, "git-server") == git_server
    assert (
        tree.head(lab),
        Path(json.loads(lab.description.read_text())["talosconfig"]).read_bytes(),
    ) == (head, talosconfig)


def test_a_changed_checkout_reaches_the_remote_without_a_restart(lab: LabPaths):
    machines, head = processes.running(lab, "machines"), tree.head(lab)
    added = lab.checkout / "clusters" / "infra" / "flux" / "added.yaml"
    added.write_text("kind: ConfigMap\n")

    try:
        assert up(lab, quietly)
        assert tree.head(lab) != head
        assert processes.running(lab, "machines") == machines
    finally:
        added.unlink()


def test_a_lost_key_and_a_closed_session_are_not_restored(lab: LabPaths):
    kept, lost = lab.age_keys.with_name("kept"), lab.age_keys
    lost.rename(kept)
    lab.op_session.unlink()
    head = None

    try:
        up(lab, quietly)
        head = tree.head(lab)
        assert not lab.op_session.exists()
        assert not lost.exists()
    finally:
        kept.rename(lost)
        call(lab, "op", "signin")
    assert not up(lab, quietly)
    assert tree.head(lab) == head


def test_another_cluster_runs_at_the_same_time(lab: LabPaths):
    other = LabPaths(cluster="apps", state=lab.state.parent / "apps", checkout=lab.checkout)

    try:
        assert up(other, quietly)
        assert status.observe(other).is_up
    finally:
        assert down(other, quietly)
    assert status.observe(lab).is_up
    assert list(processes.marked(other.state)) == []


def test_a_second_lab_of_the_same_cluster_reports_who_holds_its_addresses(
    lab: LabPaths, tmp_path: Path
):
    second = LabPaths(cluster="infra", state=tmp_path.resolve() / "infra", checkout=lab.checkout)

    try:
        with pytest.raises(
            TargetError,
            match=rf"(?s)cannot use {LAB}\.1:2222 for the Git remote: the port is taken"
            r".*next .*simulated:down",
        ):
            up(second, quietly)
    finally:
        down(second, quietly)
    assert status.observe(lab).is_up


def test_an_unknown_cluster_is_reported_with_the_defined_ones(checkout: Path, tmp_path: Path):
    paths = LabPaths(cluster="nowhere", state=tmp_path.resolve() / "nowhere", checkout=checkout)

    with pytest.raises(TargetError, match=r"(?s)unknown cluster.*apps, infra"):
        up(paths, quietly)


def test_a_missing_tool_is_reported_with_the_command_to_install_it(checkout: Path, tmp_path: Path):
    (tmp_path / ".tools").mkdir()
    paths = LabPaths(cluster="infra", state=tmp_path.resolve() / "infra", checkout=tmp_path)

    with pytest.raises(ToolMissing, match=r"(?s)cannot find talosctl.*tools:setup"):
        up(paths, quietly)


def test_a_broken_definition_is_reported_with_all_its_errors(checkout: Path, tmp_path: Path):
    copy = tmp_path / "checkout"
    shutil.copytree(checkout, copy, symlinks=True)
    inventory = copy / "clusters" / "infra" / "talos" / "talconfig.yaml"
    inventory.write_text(
        inventory.read_text().replace(f"ipAddress: 10.25.{NUMBER}.12", "ipAddress: 10.25.11.11.1")
    )

    with pytest.raises(DefinitionError, match=r"clusters/infra/talos/talconfig\.yaml"):
        up(LabPaths(cluster="infra", state=tmp_path.resolve() / "infra", checkout=copy), quietly)


def test_a_lab_without_processes_and_half_its_files_goes_down(
    lab: LabPaths,
):
    for pid in list(processes.marked(lab.state)):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(lab.run)
    lab.description.unlink()

    assert down(lab, quietly)
    assert not lab.state.exists()
    assert not down(lab, quietly)
