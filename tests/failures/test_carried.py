"""What firstlight words itself: the real condition, action or tool raises an error with its row."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from firstlight.actions.kubeconfig import generate_kubeconfig, push_kubeconfig
from firstlight.actions.releases import install_release
from firstlight.actions.talos import bootstrap_etcd
from firstlight.conditions import Condition, talos
from firstlight.conditions.dns import coredns_resolves
from firstlight.conditions.etcd import etcd_runs_on_every_control_plane_node, no_foreign_etcd
from firstlight.conditions.finish import finished_within, nothing_left_to_do
from firstlight.conditions.gitops import (
    every_helm_release_ready,
    flux_has_cloned,
    git_repository_ready,
    handed_off_without_rollout,
    kustomization_ready,
)
from firstlight.conditions.gitremote import deploy_key_cannot_write
from firstlight.conditions.nodes import (
    NO_CNI,
    every_node_ready,
    every_node_registered,
    vip_accepts_connections,
)
from firstlight.conditions.operator import (
    every_pinned_tool_present,
    every_reference_resolves,
    kubeconfig_in_1password,
    kubeconfig_usable,
)
from firstlight.conditions.releases import (
    every_chart_resolves,
    no_unknown_value_keys,
    releases_installed_in_order,
    values_equal_the_helmreleases,
)
from firstlight.conditions.secrets import deploy_key_in_cluster
from firstlight.conditions.workloads import (
    config_map_contains,
    crd_established,
    daemon_set,
    deployment,
    no_pod_named,
    workload_runs,
)
from firstlight.errors import ActionFailed, DefinitionError, FirstlightError, Problem, ToolMissing
from firstlight.failures import BY_ID, ROWS, FailureClass, classify
from firstlight.process import CommandResult, ToolFailed
from firstlight.run.retry import is_retried, wait_for
from firstlight.tools.git import Git, RemoteBranch
from firstlight.tools.helm import Helm
from firstlight.tools.helmfile import Helmfile
from firstlight.tools.kubernetes import ApiUnavailable, Kubernetes
from firstlight.tools.objects import (
    CONFIG_MAPS,
    CONTROLLER_REVISIONS,
    CRDS,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    GIT_REPOSITORIES,
    HELM_RELEASES,
    KUSTOMIZATIONS,
    NODES,
    PODS,
    REPLICA_SETS,
    SECRETS,
)
from firstlight.tools.op import OnePassword
from tests.clocks import FakeClock
from tests.conditions.machines import ALREADY_EXISTS, DOWN, Machine, Machines, member_of
from tests.conditions.objects import condition, item, pod, ready
from tests.definitions import CHECKOUT, infra
from tests.tools.apiserver import ApiServer
from tests.tools.helm_secrets import helm_secret, records
from tests.tools.scripted import CAPTURED, Said, captured, scripted

CLUSTER = infra()
ALL = [release.name for release in CLUSTER.releases]
NAMES = sorted(CLUSTER.node_names)
COREDNS = CLUSTER.release("coredns")
RUNNING = CAPTURED["machinestatus-running"]["stdout"]
ROLE = (
    "---\nmetadata:\n    namespace: config\n    type: MachineTypes.config.talos.dev\n"
    "    id: machine-type\nspec: {role}\n"
)


def rows_of(error: FirstlightError) -> list[str]:
    return [row.id for row in error.rows]


def unmet(condition: Condition[Any]) -> list[str]:
    """Wait for a condition until its budget is spent, and return the rows of the error."""
    with pytest.raises(FirstlightError) as caught:
        wait_for(condition, budget_s=1, clock=FakeClock())

    assert not is_retried(caught.value)
    return rows_of(caught.value)


def failing(act: Any) -> list[str]:
    with pytest.raises(FirstlightError) as caught:
        act()

    return rows_of(caught.value)


# Talos machines


@pytest.mark.parametrize(
    ("machine", "rows"),
    [
        (Machine(resources=RUNNING + ROLE.format(role="worker")), ["FL-004"]),
        (Machine(resources=RUNNING.replace("stage: running", "stage: maintenance")), ["FL-216"]),
        (Machine(version="v1.11.5"), ["FL-217"]),
    ],
    ids=["another role", "maintenance", "another version"],
)
def test_a_machine_that_does_not_run_its_configuration(machine: Machine, rows: list[str]):
    machines = Machines(cp_1=machine)
    node = machines.cluster.nodes[0]

    runs = talos.machine_runs_its_configuration(machines.talosctl, machines.cluster, node)

    assert unmet(runs) == rows


def test_a_machine_that_refuses_connections_for_its_whole_budget():
    machines = Machines(cp_1=Machine(fails=DOWN))

    answers = talos.machine_answers(machines.talosctl, machines.cluster.nodes[0])

    assert unmet(answers) == ["FL-210"]


def test_a_machine_that_does_not_answer_for_its_whole_budget_was_not_refused():
    silent = Said(stderr=DOWN.stderr.replace("connection refused", "no route to host"), exit_code=1)
    machines = Machines(cp_1=Machine(fails=silent))

    assert unmet(talos.machine_answers(machines.talosctl, machines.cluster.nodes[0])) == []


def test_a_link_that_is_not_as_defined():
    machines = Machines(cp_1=Machine(resources=CAPTURED["links"]["stdout"]))
    node = replace(machines.cluster.nodes[0], link="eth9")

    assert unmet(talos.link_as_defined(machines.talosctl, node)) == ["FL-214"]


def test_clocks_that_disagree():
    machines = Machines(worker_2=Machine(time="2026-11-23 09:32:00.1 +0000 UTC"))

    agree = talos.clocks_agree(machines.talosctl, machines.cluster.nodes, FakeClock())

    assert unmet(agree) == ["FL-215"]


def test_talosctl_health_that_does_not_pass():
    machines = Machines(cp_1=member_of("cp-1"))
    machines.healthy = Said(stderr="waiting for etcd to be healthy: ...", exit_code=1)
    preparing = Machines()

    assert unmet(talos.talos_health_passes(machines.talosctl, machines.cluster)) == ["FL-022"]
    assert unmet(talos.talos_health_passes(preparing.talosctl, preparing.cluster)) == [
        "FL-101",
        "FL-022",
    ]


def test_an_etcd_service_that_does_not_run():
    machines = Machines(cp_1=Machine(etcd="Failed"))

    healthy = talos.every_talos_service_healthy(machines.talosctl, machines.cluster)

    assert unmet(healthy) == ["FL-101"]


def test_a_vip_that_nobody_owns():
    machines = Machines(cp_1=Machine(fails=DOWN))
    # Nothing listens on port 1 of loopback.
    unowned = replace(CLUSTER, vip="127.0.0.1")

    assert unmet(vip_accepts_connections(unowned, 1)) == ["FL-016"]
    assert unmet(talos.talos_endpoint_answers(machines.talosctl, machines.cluster)) == ["FL-016"]


# etcd


def test_two_etcd_clusters():
    machines = Machines(cp_1=member_of("cp-1"), cp_2=member_of("cp-2"))

    assert unmet(no_foreign_etcd(machines.talosctl, machines.cluster)) == ["FL-015"]


def test_unknown_etcd_members():
    machines = Machines(cp_1=member_of("cp-1", "k8s-0"))

    assert unmet(no_foreign_etcd(machines.talosctl, machines.cluster)) == ["FL-224"]


def test_an_etcd_that_is_not_known_yet():
    machines = Machines(cp_1=Machine(etcd=""))

    assert unmet(no_foreign_etcd(machines.talosctl, machines.cluster)) == ["FL-002"]


def test_etcd_members_that_do_not_agree():
    behind = Machines(cp_1=member_of("cp-1", "cp-2"), cp_2=member_of("cp-1", "cp-2"))

    runs = etcd_runs_on_every_control_plane_node(behind.talosctl, behind.cluster)

    assert unmet(runs) == ["FL-012", "FL-101"]


def bootstrap(machines: Machines) -> Any:
    def until_accepted(accepted: Condition[str]) -> str:
        return wait_for(accepted, budget_s=1, clock=FakeClock())[0]

    return bootstrap_etcd(machines.talosctl, machines.cluster, until_accepted)


def test_a_bootstrap_that_finds_data_and_no_member():
    machines = Machines()
    machines.bootstraps = [ALREADY_EXISTS]

    assert failing(bootstrap(machines).act) == ["FL-001", "FL-111"]


def test_a_bootstrap_that_fails_for_an_unknown_reason():
    machines = Machines()
    machines.bootstraps = [Said(stderr="something that nobody has seen before", exit_code=1)]

    assert failing(bootstrap(machines).act) == ["FL-111"]


def test_a_bootstrap_next_to_another_cluster():
    machines = Machines(cp_2=member_of("k8s-0"))

    assert failing(bootstrap(machines).need) == ["FL-224", "FL-111"]


# The operator's side


def test_references_without_a_value():
    op = OnePassword(scripted({"op inject": Said("")}))

    assert unmet(every_reference_resolves(op, CLUSTER)) == ["FL-204"]


def test_another_kubeconfig_in_1password(tmp_path: Path):
    path = tmp_path / "kubeconfig"
    op = OnePassword(scripted({"op document get": Said("theirs")}))

    assert unmet(kubeconfig_in_1password(op, CLUSTER, path)) == ["FL-236"]
    assert failing(push_kubeconfig(op, CLUSTER, path).need) == ["FL-236"]
    path.write_text("ours")
    assert unmet(kubeconfig_in_1password(op, CLUSTER, path)) == ["FL-232"]


def test_a_kubeconfig_of_another_cluster(tmp_path: Path, kubernetes: Kubernetes):
    path = tmp_path / "own"
    assert unmet(kubeconfig_usable(path, CLUSTER)) == ["FL-236"]
    path.write_text("{}")
    path.chmod(0o600)
    machines = Machines()
    generate = generate_kubeconfig(
        machines.talosctl, machines.cluster, path, machines.runner, kubernetes
    )
    machines.runner.script = lambda _: Said("{}")

    assert unmet(kubeconfig_usable(path, CLUSTER)) == ["FL-211"]
    assert failing(generate.act) == ["FL-211"]


def test_an_api_without_a_kubeconfig_is_retried(tmp_path: Path):
    kubernetes = Kubernetes(tmp_path / "none", CLUSTER.context)

    with pytest.raises(ApiUnavailable) as caught:
        kubernetes.ready()

    assert rows_of(caught.value) == ["FL-243"]
    assert is_retried(caught.value)
    assert unmet(every_node_ready(kubernetes, CLUSTER)) == ["FL-243"]


def test_a_deploy_key_that_differs_from_the_one_in_1password(
    api: ApiServer, kubernetes: Kubernetes
):
    sync = CLUSTER.sync
    api.hold(SECRETS, {**item(sync.secret, sync.namespace), "data": {"identity": "eA=="}})

    matches = deploy_key_in_cluster(kubernetes, CLUSTER, "other", "")

    assert unmet(matches) == ["FL-233"]


def test_a_missing_tool():
    assert rows_of(ToolMissing("helmfile")) == ["FL-219"]


@pytest.mark.parametrize(
    ("tool", "problem", "rows"),
    [
        ("helm", "/x/.tools/bin/helm says version 4.0.1, not 3.19.4", ["FL-058", "FL-219"]),
        ("helm", "/x/.tools/bin/helm says version 3.19.3, not 3.19.4", ["FL-219"]),
        ("flux", "/x/.tools/bin/flux is missing", ["FL-219"]),
    ],
)
def test_a_tool_of_another_version(
    monkeypatch: pytest.MonkeyPatch, tool: str, problem: str, rows: list[str]
):
    found = [SimpleNamespace(tool=tool, problem=problem, version="", source="")]
    monkeypatch.setattr("firstlight.conditions.operator.check", lambda _: found)

    assert unmet(every_pinned_tool_present(Path())) == rows


@pytest.mark.parametrize(
    ("rule", "field", "row"),
    [
        ("op-reference-without-field", "line 27", "FL-028"),
        ("vip-not-in-certificate", "additionalApiServerCertSans", "FL-017"),
        ("bond-unmonitored", "nodes[0].networkInterfaces[0].bond.miimon", "FL-019"),
        ("subnet-not-node-network", "cluster.etcd.advertisedSubnets", "FL-014"),
        ("dns-answers-lost", "spec.values.bpf.hostLegacyRouting", "FL-034"),
        ("cilium-mtu-differs", "spec.values.MTU", "FL-039"),
        ("cni-uninstalled-on-failure", "spec.upgrade.strategy.name", "FL-042"),
        ("git-url-not-ssh", "spec.url", "FL-061"),
        ("crds-not-kept", "spec.values.crds.annotations", "FL-064"),
        ("coredns-not-off", "cluster.coreDNS.disabled", "FL-047"),
        ("registry-path-differs", "spec.values.spegel.containerdRegistryConfigPath", "FL-048"),
        ("chart-version-broken", "chart version", "FL-050"),
    ],
)
def test_a_definition_that_breaks_a_rule(rule: str, field: str, row: str):
    problem = Problem(Path("x"), field, "", rule, "it is wrong", "write it")

    assert rows_of(DefinitionError("infra", [problem])) == [row]


def test_a_rule_that_is_limited_to_one_field_explains_no_other():
    problem = Problem(
        Path("x"), "machine.kubelet.nodeIP.validSubnets", "", "subnet-not-node-network", "", ""
    )

    assert rows_of(DefinitionError("infra", [problem])) == []


def test_every_rule_that_a_row_names_exists():
    named = {rule.rpartition("/")[2] for row in ROWS for rule in row.rules}
    folder = CHECKOUT / "src" / "firstlight" / "definition"
    written = "\n".join(file.read_text() for file in folder.glob("*.py"))

    assert named
    assert {rule for rule in named if f'"{rule}"' not in written} == set()


# Releases


def test_a_release_that_needs_another_one():
    install = install_release(
        SimpleNamespace(),
        SimpleNamespace(),
        records(),
        SimpleNamespace(),
        CLUSTER,
        COREDNS,  # type: ignore[arg-type]
    )

    with pytest.raises(ActionFailed) as caught:
        install.act()

    assert rows_of(caught.value) == ["FL-057"]


@pytest.mark.parametrize(
    ("said", "rows", "retried"),
    [
        ("something that nobody has seen before", ["FL-112"], False),
        ("Error: cluster unreachable: EOF", ["FL-025", "FL-112"], True),
        ("Error: invalid ownership metadata", ["FL-047", "FL-112"], False),
    ],
)
def test_a_helmfile_that_fails(said: str, rows: list[str], retried: bool):
    runner = scripted({"sync": Said(stderr=said, exit_code=1)})

    with pytest.raises(ToolFailed) as caught:
        Helmfile(runner, Path("b"), Path("k"), "c").sync("01-apps.yaml")

    assert rows_of(caught.value) == rows
    assert is_retried(caught.value) is retried


def test_a_chart_that_does_not_resolve():
    runner = scripted({"helm show": Said(stderr="something unknown", exit_code=1)})
    other = scripted({"helm show": Said("name: x\nversion: 0.0.1\n")})

    assert unmet(every_chart_resolves(Helm(runner, Path("k"), "c"), CLUSTER)) == ["FL-212"]
    assert unmet(every_chart_resolves(Helm(other, Path("k"), "c"), CLUSTER)) == ["FL-212"]


def test_values_that_a_chart_does_not_know():
    helm = Helm(scripted({"helm show": Said("{}")}), Path("k"), "c")

    assert unmet(no_unknown_value_keys(helm, CLUSTER)) == ["FL-218"]


def test_values_that_differ_from_the_helmreleases():
    helmfile: Any = SimpleNamespace(releases=lambda _: [], values=lambda _: {})

    assert unmet(values_equal_the_helmreleases(helmfile, CLUSTER)) == ["FL-220"]


def test_releases_that_were_installed_in_another_order():
    backwards = records(
        *(
            helm_secret(
                release.name,
                namespace=release.namespace,
                first_deployed=f"2026-11-23T07:{59 - number}:00Z",
            )
            for number, release in enumerate(CLUSTER.releases)
        )
    )

    assert unmet(releases_installed_in_order(backwards, CLUSTER)) == ["FL-234"]


# Kubernetes


@pytest.mark.parametrize(
    "crd",
    [[], [item("x.io", conditions=(condition("NamesAccepted", "False", "in use"),))]],
    ids=["missing", "its names are in use"],
)
def test_a_crd_that_is_not_established(api: ApiServer, kubernetes: Kubernetes, crd: list[Any]):
    api.hold(CRDS, *crd)

    assert unmet(crd_established(kubernetes, "x.io")) == ["FL-225"]


def nodes(ready_: int, message: str) -> list[Any]:
    return [
        item(name, conditions=ready("True" if number < ready_ else "False", message))
        for number, name in enumerate(NAMES)
    ]


@pytest.mark.parametrize(
    ("ready_", "message", "rows"),
    [
        (0, f"Network plugin returns error: {NO_CNI}", ["FL-021"]),
        (0, "Kubelet stopped posting node status.", []),
        (3, f"Network plugin returns error: {NO_CNI}", ["FL-027"]),
    ],
    ids=["without a CNI", "down", "some"],
)
def test_nodes_that_are_not_ready(
    api: ApiServer, kubernetes: Kubernetes, ready_: int, message: str, rows: list[str]
):
    api.hold(NODES, *nodes(ready_, message))

    assert unmet(every_node_ready(kubernetes, CLUSTER)) == rows


def test_a_cordoned_node(api: ApiServer, kubernetes: Kubernetes):
    api.hold(NODES, *nodes(6, ""))
    api.kinds[NODES.path()][0]["spec"]["unschedulable"] = True

    assert unmet(every_node_ready(kubernetes, CLUSTER)) == ["FL-252"]


def test_an_unknown_node(api: ApiServer, kubernetes: Kubernetes):
    api.hold(NODES, *nodes(6, ""), item("talos-x7q", conditions=ready()))

    assert unmet(every_node_registered(kubernetes, CLUSTER)) == ["FL-213"]


def test_a_node_that_is_missing(api: ApiServer, kubernetes: Kubernetes):
    api.hold(NODES, *nodes(6, "")[1:])

    assert unmet(every_node_registered(kubernetes, CLUSTER)) == ["FL-254"]


def test_a_cilium_config_that_was_changed(api: ApiServer, kubernetes: Kubernetes):
    api.hold(CONFIG_MAPS, {**item("cilium-config", "kube-system"), "data": {"cluster-id": "2"}})
    wanted = {"cluster-id": "1"}

    contains = config_map_contains(kubernetes, "kube-system", "cilium-config", wanted)

    assert unmet(contains) == ["FL-255"]


def test_a_kube_proxy_next_to_cilium(api: ApiServer, kubernetes: Kubernetes):
    api.hold(PODS, pod("kube-proxy-4xk2d"))
    api.hold(DAEMON_SETS)

    assert unmet(no_pod_named(kubernetes, "kube-system", "kube-proxy")) == ["FL-226"]


def test_a_deployment_that_is_scaled_to_zero(api: ApiServer, kubernetes: Kubernetes):
    status = {"observedGeneration": 1}
    api.hold(DEPLOYMENTS, item("web", "x", spec={"replicas": 0}, **status))

    assert unmet(workload_runs(kubernetes, deployment("x", "web"))) == ["FL-251"]


def test_an_object_of_a_release_that_is_gone(api: ApiServer, kubernetes: Kubernetes):
    api.hold(DEPLOYMENTS)

    assert unmet(workload_runs(kubernetes, deployment("x", "web"))) == ["FL-067"]


@pytest.mark.parametrize(
    ("name", "pods", "rows"),
    [
        ("cilium", [pod("cilium-1", owner="x", well=False, phase="Pending")], ["FL-102"]),
        ("coredns", [], ["FL-103"]),
        ("coredns", [pod("coredns-1", owner="x", well=False, phase="Pending")], ["FL-103"]),
        (
            "coredns",
            [
                pod(
                    "coredns-1",
                    owner="x",
                    conditions=(
                        *ready("False"),
                        condition("PodScheduled", "False", "0/6", reason="Unschedulable"),
                    ),
                )
            ],
            [],
        ),
        ("spegel", [pod("spegel-1", owner="x", well=False, phase="Pending")], []),
    ],
    ids=["cilium pends", "no coredns", "coredns pends", "coredns finds no node", "spegel pends"],
)
def test_a_workload_that_does_not_run(
    api: ApiServer, kubernetes: Kubernetes, name: str, pods: list[Any], rows: list[str]
):
    spec = {"selector": {"matchLabels": {"app": "x"}}}
    api.hold(DAEMON_SETS, item(name, "kube-system", spec=spec, desiredNumberScheduled=2))
    api.hold(PODS, *pods)
    api.hold(EVENTS)

    assert unmet(workload_runs(kubernetes, daemon_set("kube-system", name))) == rows


def test_a_coredns_that_is_not_ready(api: ApiServer, kubernetes: Kubernetes):
    api.hold(PODS)

    assert unmet(coredns_resolves(kubernetes)) == ["FL-103"]


# Flux


def test_a_deploy_key_that_can_write():
    git = Git(scripted({"push": Said(), "init": Said()}))

    assert unmet(deploy_key_cannot_write(git, CLUSTER, "key", "hosts")) == ["FL-206"]


def test_flux_objects_that_are_not_ready(api: ApiServer, kubernetes: Kubernetes):
    api.hold(GIT_REPOSITORIES)
    api.hold(KUSTOMIZATIONS)

    assert unmet(git_repository_ready(kubernetes, CLUSTER)) == ["FL-113"]
    assert unmet(kustomization_ready(kubernetes, CLUSTER)) == ["FL-113"]


def test_a_repository_that_flux_has_not_cloned(api: ApiServer, kubernetes: Kubernetes):
    sync = CLUSTER.sync
    git = Git(scripted({"git ls-remote": captured("git-head")}))
    branch = RemoteBranch(git, sync.url, sync.branch, identity="key", known_hosts="hosts")
    api.hold(GIT_REPOSITORIES)
    assert unmet(flux_has_cloned(kubernetes, CLUSTER, branch)) == ["FL-104", "FL-113"]

    older = {"revision": "main@sha1:0000"}
    api.hold(GIT_REPOSITORIES, item(sync.repository, sync.namespace, artifact=older))
    assert unmet(flux_has_cloned(kubernetes, CLUSTER, branch)) == ["FL-113"]


def test_flux_objects_that_are_suspended(api: ApiServer, kubernetes: Kubernetes):
    sync = CLUSTER.sync
    api.hold(GIT_REPOSITORIES, item(sync.repository, sync.namespace, spec={"suspend": True}))

    assert unmet(git_repository_ready(kubernetes, CLUSTER)) == ["FL-250"]


def test_a_helm_release_that_is_gone(api: ApiServer, kubernetes: Kubernetes):
    api.hold(HELM_RELEASES)

    assert unmet(every_helm_release_ready(kubernetes, CLUSTER)) == ["FL-253"]
    assert unmet(handed_off_without_rollout(kubernetes, CLUSTER)) == ["FL-253"]


def test_a_hand_off_that_restarted_pods(api: ApiServer, kubernetes: Kubernetes):
    releases = [
        item(release.name, release.namespace, spec={"releaseName": release.name})
        for release in CLUSTER.releases
    ]
    for release in releases:
        release["metadata"]["creationTimestamp"] = "2026-11-23T07:31:00Z"
    revision = item("cilium-2", "kube-system")
    revision["metadata"]["annotations"] = {
        "meta.helm.sh/release-name": "cilium",
        "meta.helm.sh/release-namespace": "kube-system",
    }
    api.hold(HELM_RELEASES, *releases)
    api.hold(CONTROLLER_REVISIONS, revision)
    api.hold(REPLICA_SETS)

    assert unmet(handed_off_without_rollout(kubernetes, CLUSTER)) == ["FL-065"]


# The end of a bootstrap


def test_a_bootstrap_that_took_too_long():
    assert unmet(finished_within("70-cilium", 1801.0, why="", budget_s=1800.0)) == ["FL-105"]
    assert unmet(finished_within("70-cilium", None, why="unknown", budget_s=1800.0)) == []


def test_something_that_is_reverted():
    action = SimpleNamespace(title="install coredns")

    assert unmet(nothing_left_to_do([action], lambda _: "it differs")) == ["FL-235"]


# All of them


def named_in_source() -> set[str]:
    """The ids that our own source names, outside the catalogue."""
    return {
        node.value
        for path in (CHECKOUT / "src").rglob("*.py")
        if "failures" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and str(node.value) in BY_ID
    }


def test_every_row_without_a_pattern_is_raised_by_our_own_source():
    silent = {row.id for row in ROWS if not row.patterns and not row.rules}

    assert silent
    assert silent - named_in_source() == set()


COMPARED_ONLY = {f"FL-{number:03}" for number in (6, 62)}
"""Rows of a tool's own text with which conditions compare, tried by their own tests."""


def test_every_row_that_our_own_source_raises_is_tried_here():
    here = Path(__file__).read_text()

    assert {row for row in named_in_source() if f'"{row}"' not in here} == COMPARED_ONLY


def test_an_error_has_the_class_of_its_row_and_not_of_rows_that_only_explain_it():
    error = FirstlightError("cannot go on", row="FL-002", rows=["FL-111"])
    explained = FirstlightError("cannot go on", rows=["FL-002"])

    assert (error.row, error.failure_class) == (BY_ID["FL-002"], FailureClass.RETRY)
    assert explained.failure_class is FailureClass.FATAL
    assert FirstlightError("cannot go on").row is None


def test_a_command_that_timed_out_is_retried_whatever_it_had_printed():
    said = captured("helmfile-sync-pending").stderr
    result = CommandResult("helm upgrade x", -15, "", said, 30.0, timed_out=True, output_tail=())

    with pytest.raises(ToolFailed) as caught:
        result.raise_on_failure("upgrade x")

    assert classify("helm", said) is BY_ID["FL-055"]
    assert is_retried(caught.value)
