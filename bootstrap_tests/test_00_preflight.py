"""Stage 00: all prerequisites of the bootstrap are met, before anything changes."""

from __future__ import annotations

from pathlib import Path

from testinfra.host import Host

from firstlight.checklist import AC1, AC3, AC4, Capability, Stage, Step, criterion
from firstlight.conditions.gitremote import deploy_key_can_read, deploy_key_cannot_write
from firstlight.conditions.operator import (
    age_key_opens_talos_secrets,
    definition_valid,
    every_command_present,
    every_pinned_tool_present,
    every_reference_resolves,
    signed_in_to_1password,
)
from firstlight.conditions.releases import (
    every_chart_resolves,
    no_unknown_value_keys,
    values_equal_the_helmreleases,
)
from firstlight.conditions.talos import (
    all_together,
    clocks_agree,
    link_as_defined,
    machine_answers,
    machine_config_valid,
    machine_runs_its_configuration,
)
from firstlight.definition.model import Cluster
from firstlight.run import Run, Waiter
from firstlight.target import Target
from firstlight.tools.git import Git, RemoteBranch
from firstlight.tools.helm import Helm
from firstlight.tools.helmfile import Helmfile
from firstlight.tools.op import OnePassword
from firstlight.tools.sops import Sops
from firstlight.tools.talosctl import Talosctl

ANSWERS = "every-node-answers-on-its-talos-api"
SIGNED_IN = "1password-is-signed-in"
RESOLVES = "every-secret-reference-resolves"


@criterion(
    Stage.PREFLIGHT, AC1, title="every tool is present in its pinned version", task=1, budget_s=30
)
def test_every_tool_is_there_at_its_pinned_version(run: Run, target: Target, wait: Waiter) -> None:
    wait(every_command_present(target))
    wait(every_pinned_tool_present(run.checkout))


@criterion(
    Stage.PREFLIGHT,
    AC1,
    title="the definition is valid and does not conflict with another cluster's",
    task=1,
    budget_s=30,
)
def test_the_definition_is_valid(target: Target, cluster: Cluster, wait: Waiter) -> None:
    wait(definition_valid(target.root, cluster))


@criterion(
    Stage.PREFLIGHT,
    AC1,
    title="the AGE key opens the Talos secrets",
    task=1,
    budget_s=30,
    steps=(Step.GEN_CONFIG,),
)
def test_the_age_key_opens_the_talos_secrets(
    sops: Sops, cluster: Cluster, target: Target, workstation: Host, wait: Waiter
) -> None:
    key_file = workstation.file(target.environment["SOPS_AGE_KEY_FILE"])

    wait(age_key_opens_talos_secrets(sops, cluster))

    assert not key_file.exists or key_file.mode & 0o077 == 0, (
        f"{key_file.path} can be read by others: chmod 600"
    )


@criterion(
    Stage.PREFLIGHT,
    AC1,
    title="every machine config is valid",
    task=1,
    budget_s=60,
    needs=(Capability.TALOS_API,),
    after=("the-age-key-opens-the-talos-secrets",),
    steps=(Step.GEN_CONFIG,),
)
def test_every_machine_config_is_valid(
    machine_configs_generated: tuple[Path, ...],
    talosctl: Talosctl,
    cluster: Cluster,
    workstation: Host,
    wait: Waiter,
) -> None:
    files = (*machine_configs_generated, cluster.talosconfig)

    wait.each(
        {node.hostname: machine_config_valid(talosctl, cluster, node) for node in cluster.nodes}
    )

    assert {workstation.file(str(path)).mode for path in files} == {0o600}


@criterion(
    Stage.PREFLIGHT,
    AC1,
    title="every node that can answer before the bootstrap does, with the definition's own CA",
    task=1,
    budget_s=60,
    needs=(Capability.TALOS_API,),
)
def test_every_node_answers_on_its_talos_api(
    talosctl: Talosctl, cluster: Cluster, wait: Waiter
) -> None:
    wait.each({node.hostname: machine_answers(talosctl, node) for node in cluster.early_nodes})


@criterion(
    Stage.PREFLIGHT,
    AC1,
    title="every machine that answers runs its configuration, at the defined Talos version",
    task=1,
    budget_s=120,
    needs=(Capability.TALOS_API,),
    after=(ANSWERS,),
)
def test_every_machine_runs_its_configuration(
    talosctl: Talosctl, cluster: Cluster, wait: Waiter
) -> None:
    looks = all_together(talosctl, cluster.early_nodes)

    wait.each(
        {
            node.hostname: machine_runs_its_configuration(looks, cluster, node)
            for node in cluster.early_nodes
        }
    )


@criterion(
    Stage.PREFLIGHT,
    AC1,
    title="the link of every machine that answers is up, with the defined MTU and bond",
    task=1,
    budget_s=60,
    needs=(Capability.TALOS_API,),
    after=(ANSWERS,),
)
def test_every_link_is_up_as_defined(talosctl: Talosctl, cluster: Cluster, wait: Waiter) -> None:
    looks = all_together(talosctl, cluster.early_nodes)

    wait.each({node.hostname: link_as_defined(looks, node) for node in cluster.early_nodes})


@criterion(
    Stage.PREFLIGHT,
    AC1,
    title="the clocks of all machines that answer agree",
    task=1,
    budget_s=60,
    needs=(Capability.TALOS_API,),
    after=(ANSWERS,),
)
def test_the_clocks_agree(talosctl: Talosctl, cluster: Cluster, run: Run, wait: Waiter) -> None:
    wait(clocks_agree(talosctl, cluster.early_nodes, run.clock))


@criterion(Stage.PREFLIGHT, AC1, title="1Password is signed in", task=1, budget_s=30)
def test_1password_is_signed_in(op: OnePassword, wait: Waiter) -> None:
    wait(signed_in_to_1password(op))


@criterion(
    Stage.PREFLIGHT,
    AC3,
    AC4,
    title="every op:// reference resolves",
    task=1,
    budget_s=60,
    after=(SIGNED_IN,),
)
def test_every_secret_reference_resolves(op: OnePassword, cluster: Cluster, wait: Waiter) -> None:
    wait(every_reference_resolves(op, cluster))


@criterion(
    Stage.PREFLIGHT,
    AC4,
    title="the deploy key can read the Git remote",
    task=5,
    budget_s=60,
    after=(SIGNED_IN, RESOLVES),
)
def test_the_deploy_key_can_read_the_git_remote(remote_branch: RemoteBranch, wait: Waiter) -> None:
    wait(deploy_key_can_read(remote_branch))


@criterion(
    Stage.PREFLIGHT,
    AC4,
    title="the deploy key cannot write to the Git remote",
    task=5,
    budget_s=60,
    after=("the-deploy-key-can-read-the-git-remote",),
)
def test_the_deploy_key_cannot_write_to_the_git_remote(
    git: Git, deploy_key: tuple[str, str], cluster: Cluster, wait: Waiter
) -> None:
    wait(deploy_key_cannot_write(git, cluster, *deploy_key))


@criterion(
    Stage.PREFLIGHT, AC3, title="every chart resolves in exactly its version", task=1, budget_s=120
)
def test_every_chart_resolves(helm: Helm, cluster: Cluster, wait: Waiter) -> None:
    wait(every_chart_resolves(helm, cluster))


@criterion(
    Stage.PREFLIGHT,
    AC3,
    title="helmfile's chart, version and values equal the HelmRelease's",
    task=4,
    budget_s=120,
)
def test_helmfile_values_equal_the_helmreleases(
    helmfile: Helmfile, cluster: Cluster, wait: Waiter
) -> None:
    wait(values_equal_the_helmreleases(helmfile, cluster))


@criterion(
    Stage.PREFLIGHT,
    AC3,
    title="no value is set that its chart does not know",
    task=4,
    budget_s=120,
    after=("every-chart-resolves",),
)
def test_no_value_key_is_unknown_to_its_chart(helm: Helm, cluster: Cluster, wait: Waiter) -> None:
    wait(no_unknown_value_keys(helm, cluster))
