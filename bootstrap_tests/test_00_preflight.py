"""Stage 00: everything that the bootstrap will need is there, before anything is changed."""

from __future__ import annotations

from pathlib import Path

from testinfra.host import Host

from firstlight.conditions.charts import no_unknown_value_keys, values_are_equal
from firstlight.conditions.gitremote import key_can_read, key_cannot_write
from firstlight.conditions.operator import (
    age_key_opens,
    commands_present,
    references_resolve,
    signed_in,
    tools_present,
)
from firstlight.conditions.releases import charts_resolve
from firstlight.conditions.talos import (
    clocks_agree,
    config_is_valid,
    link_is_up,
    machine_answers,
    machine_runs_its_configuration,
)
from firstlight.definition import cluster_names, load_all
from firstlight.definition.model import Cluster
from firstlight.target import Capability, Target
from firstlight.tools.git import Git
from firstlight.tools.helm import Helm
from firstlight.tools.helmfile import Helmfile
from firstlight.tools.op import OnePassword
from firstlight.tools.sops import Sops
from firstlight.tools.talosctl import Talosctl
from fixtures.criterion import criterion
from fixtures.performing import Waiter
from fixtures.run import Run

ANSWERS = "every-node-answers-on-its-talos-api"
SIGNED_IN = "1password-is-signed-in"
RESOLVES = "every-secret-reference-resolves"


@criterion("AC1", "every tool is there at its pinned version", task=1, budget_s=30)
def test_every_tool_is_there_at_its_pinned_version(run: Run, target: Target, wait: Waiter) -> None:
    assert wait(commands_present(target)).keys() >= {"git", "ssh", "op"}
    assert wait(tools_present(run.checkout)).keys() >= {
        "talosctl",
        "kubectl",
        "helm",
        "helmfile",
        "flux",
        "sops",
    }


@criterion(
    "AC1", "the definition is valid, and clashes with no other cluster's", task=1, budget_s=30
)
def test_the_definition_is_valid(target: Target, cluster: Cluster) -> None:
    clusters = load_all(target.root)

    assert cluster in clusters
    assert sorted(each.name for each in clusters) == sorted(cluster_names(target.root))


@criterion("AC1", "the AGE key opens the Talos secrets", task=1, budget_s=30)
def test_the_age_key_opens_the_talos_secrets(
    sops: Sops, cluster: Cluster, target: Target, workstation: Host, wait: Waiter
) -> None:
    key_file = workstation.file(target.environment["SOPS_AGE_KEY_FILE"])

    keys = wait(age_key_opens(sops, cluster.talos_dir / "talsecret.sops.yaml"))

    assert {"cluster", "secrets", "certs"} <= keys
    assert not key_file.exists or key_file.mode & 0o077 == 0, (
        f"{key_file.path} can be read by others: chmod 600"
    )


@criterion(
    "AC1",
    "every machine config is valid",
    task=1,
    budget_s=60,
    needs=(Capability.TALOS_API,),
    after=("the-age-key-opens-the-talos-secrets",),
)
def test_every_machine_config_is_valid(
    machine_configs_generated: tuple[Path, ...],
    talosctl: Talosctl,
    cluster: Cluster,
    workstation: Host,
    wait: Waiter,
) -> None:
    validated = wait.each(
        {node.hostname: config_is_valid(talosctl, cluster, node) for node in cluster.nodes}
    )

    assert validated.keys() == cluster.node_names
    assert {
        workstation.file(str(path)).mode
        for path in (*machine_configs_generated, cluster.talosconfig)
    } == {0o600}


@criterion(
    "AC1",
    "every node that can answer before the bootstrap does, with the definition's own CA",
    task=1,
    budget_s=60,
    needs=(Capability.TALOS_API,),
)
def test_every_node_answers_on_its_talos_api(
    talosctl: Talosctl, cluster: Cluster, workstation: Host, wait: Waiter
) -> None:
    versions = wait.each(
        {node.hostname: machine_answers(talosctl, node) for node in cluster.early_nodes}
    )

    assert versions.keys() >= cluster.control_plane_names
    assert all(
        workstation.addr(str(node.address)).port(50000).is_reachable for node in cluster.early_nodes
    )


@criterion(
    "AC1",
    "every machine that answers runs its configuration, at the defined Talos version",
    task=1,
    budget_s=120,
    needs=(Capability.TALOS_API,),
    after=(ANSWERS,),
)
def test_every_machine_runs_its_configuration(
    talosctl: Talosctl, cluster: Cluster, wait: Waiter
) -> None:
    stages = wait.each(
        {
            node.hostname: machine_runs_its_configuration(talosctl, cluster, node)
            for node in cluster.early_nodes
        }
    )

    assert set(stages.values()) <= {"booting", "running"}


@criterion(
    "AC1",
    "the link of every machine that answers is up, with the defined MTU and bond",
    task=1,
    budget_s=60,
    needs=(Capability.TALOS_API,),
    after=(ANSWERS,),
)
def test_every_link_is_up_as_defined(talosctl: Talosctl, cluster: Cluster, wait: Waiter) -> None:
    links = wait.each({node: link_is_up(talosctl, node) for node in cluster.early_nodes})

    assert {(node.link, node.mtu, node.bond_mode) for node in links} == {
        (link.name, link.mtu, link.bond_mode) for link in links.values()
    }


@criterion(
    "AC1",
    "the clocks of all machines that answer agree",
    task=1,
    budget_s=60,
    needs=(Capability.TALOS_API,),
    after=(ANSWERS,),
)
def test_the_clocks_agree(talosctl: Talosctl, cluster: Cluster, run: Run, wait: Waiter) -> None:
    skews = wait(clocks_agree(talosctl, cluster.early_nodes, run.clock))

    assert skews.keys() >= cluster.control_plane_names


@criterion("AC1", "1Password is signed in", task=1, budget_s=30)
def test_1password_is_signed_in(op: OnePassword, wait: Waiter) -> None:
    assert wait(signed_in(op))


@criterion("AC3 AC4", "every op:// reference resolves", task=1, budget_s=60, after=(SIGNED_IN,))
def test_every_secret_reference_resolves(op: OnePassword, cluster: Cluster, wait: Waiter) -> None:
    assert wait(references_resolve(op, cluster)) == {
        reference.reference for reference in cluster.references
    }


@criterion(
    "AC4",
    "the deploy key can read the Git remote",
    task=5,
    budget_s=60,
    after=(SIGNED_IN, RESOLVES),
)
def test_the_deploy_key_can_read_the_git_remote(
    git: Git, deploy_key: tuple[str, str], cluster: Cluster, wait: Waiter
) -> None:
    head = wait(key_can_read(git, cluster, *deploy_key))

    assert len(head) == 40


@criterion(
    "AC4",
    "the deploy key cannot write to the Git remote",
    task=5,
    budget_s=60,
    after=("the-deploy-key-can-read-the-git-remote",),
)
def test_the_deploy_key_cannot_write_to_the_git_remote(
    git: Git, deploy_key: tuple[str, str], cluster: Cluster, wait: Waiter
) -> None:
    assert "read only" in wait(key_cannot_write(git, cluster, *deploy_key))


@criterion("AC3", "every chart resolves, in exactly its version", task=1, budget_s=120)
def test_every_chart_resolves(helm: Helm, cluster: Cluster, wait: Waiter) -> None:
    assert wait(charts_resolve(helm, cluster)).keys() == {
        release.name for release in cluster.releases
    }


@criterion(
    "AC3", "helmfile's chart, version and values equal the HelmRelease's", task=4, budget_s=120
)
def test_helmfile_values_equal_the_helmreleases(
    helmfile: Helmfile, cluster: Cluster, wait: Waiter
) -> None:
    assert wait(values_are_equal(helmfile, cluster)) == tuple(
        release.name for release in cluster.releases
    )


@criterion(
    "AC3",
    "no value is set that its chart does not know",
    task=4,
    budget_s=120,
    after=("every-chart-resolves",),
)
def test_no_value_key_is_unknown_to_its_chart(helm: Helm, cluster: Cluster, wait: Waiter) -> None:
    assert wait(no_unknown_value_keys(helm, cluster)) > 0
