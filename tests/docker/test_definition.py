"""The docker lab's copy of the definition is valid, and differs only where containers need it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from firstlight.definition import load, load_all
from firstlight.errors import TargetError
from lab.docker.definition import Circumstances, for_containers, merged
from lab.docker.mirror import mirror_documents
from lab.docker.network import gateway_of
from lab.docker.settings import Settings
from lab.simulated.checkout import Source, read_checkout

ROOT = Path(__file__).resolve().parents[2]
TALOS = Path("clusters/infra/talos")
CILIUM = Path("clusters/infra/flux/config/cilium/helmrelease.yaml")


@pytest.fixture(scope="module")
def checkout() -> Source:
    return read_checkout(ROOT)


def changed(
    checkout: Source,
    nodes: str = "3+3",
    subnet: str = "10.5.0.0/24",
    cgroup_version: int = 1,
    *,
    offline: bool = True,
) -> Source:
    return for_containers(
        checkout, "infra", Circumstances(Settings(nodes, subnet, "mirror"), cgroup_version, offline)
    )


def written(source: Source, folder: Path) -> Path:
    for path, content in source.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def documents(source: Source, path: Path) -> list[Any]:
    return list(yaml.safe_load_all(source.files[path]))


@pytest.mark.parametrize(
    ("nodes", "offline"), [("1+1", True), ("3+3", True), ("3+3", False), ("3+0", True)]
)
def test_the_copy_is_a_valid_definition_of_the_requested_size(
    checkout: Source, tmp_path: Path, nodes: str, offline: bool
):
    root = written(changed(checkout, nodes, offline=offline), tmp_path)

    cluster = load(root, "infra")

    assert f"{len(cluster.control_plane)}+{len(cluster.workers)}" == nodes
    assert {(node.link, node.mtu, node.bond_mode) for node in cluster.nodes} == {("eth0", 9000, "")}
    assert str(cluster.vip) == "10.5.0.10"
    assert {str(each.address)[:7] for each in cluster.nodes} == {"10.5.0."}
    assert len(load_all(root)) == 2


def test_the_copy_contains_no_address_of_a_real_machine(checkout: Source):
    mine = {
        path: content
        for path, content in changed(checkout).files.items()
        if path.parts[1:2] == ("infra",)
    }

    assert len(mine) > 20
    assert [path for path, content in mine.items() if b"10.25.11." in content] == []


def test_other_clusters_are_unchanged(checkout: Source):
    other = {
        path: content for path, content in checkout.files.items() if path.parts[1:2] == ("apps",)
    }

    assert other
    assert {path: changed(checkout).files[path] for path in other} == other


def test_more_machines_than_defined_are_refused(checkout: Source):
    with pytest.raises(TargetError, match="cannot make 5\\+3 nodes: the definition has 3\\+3"):
        changed(checkout, "5+3")


def test_a_network_of_another_size_is_refused(checkout: Source):
    with pytest.raises(TargetError, match="both must have the same size"):
        changed(checkout, subnet="10.5.0.0/16")


def test_bond_time_service_and_discovery_are_off(checkout: Source):
    source = changed(checkout)
    inventory = documents(source, TALOS / "talconfig.yaml")[0]
    used = [TALOS / name.removeprefix("@./") for name in inventory["patches"]]
    patches = [document for path in used for document in documents(source, path)]

    assert "BondConfig" not in {patch.get("kind") for patch in patches}
    assert [patch["enabled"] for patch in patches if patch.get("kind") == "TimeSyncConfig"][
        -1
    ] is False
    assert [
        patch["cluster"]["discovery"]
        for patch in patches
        if "discovery" in patch.get("cluster", {})
    ] == [{"enabled": False}]


@pytest.mark.parametrize(("version", "said"), [(1, {"failCgroupV1": False}), (2, {})])
def test_kubelets_accept_control_groups_v1_only_on_hosts_that_have_them(
    checkout: Source, version: int, said: dict[str, bool]
):
    (patch, *_) = documents(
        changed(checkout, cgroup_version=version), TALOS / "patches" / "containers.yaml"
    )
    settings = patch["machine"]["kubelet"]["extraConfig"]

    assert {key: value for key, value in settings.items() if key == "failCgroupV1"} == said


def test_offline_every_registry_is_mirrored_on_this_hosts_address(checkout: Source):
    mirrors = [
        each
        for each in documents(changed(checkout), TALOS / "patches" / "containers.yaml")
        if each.get("kind") == "RegistryMirrorConfig"
    ]

    assert {each["name"] for each in mirrors} >= {
        "registry.k8s.io",
        "ghcr.io",
        "quay.io",
        "docker.io",
    }
    assert {(each["endpoints"][0]["url"], each["skipFallback"]) for each in mirrors} == {
        ("http://10.5.0.1:5000", True)
    }


def test_online_the_definitions_own_mirrors_are_kept(checkout: Source):
    source = changed(checkout, offline=False)

    assert (
        "@./patches/global/registries.yaml"
        in documents(source, TALOS / "talconfig.yaml")[0]["patches"]
    )
    assert not any(
        each.get("kind") == "RegistryMirrorConfig"
        for each in documents(source, TALOS / "patches" / "containers.yaml")
    )
    assert source.services["infra"].serves_charts is False


def test_only_the_cilium_values_that_containers_need_change(checkout: Source):
    before, after = (
        documents(source, CILIUM)[0]["spec"]["values"]
        for source in (checkout, changed(checkout, offline=False))
    )

    assert after["cgroup"] == {"autoMount": {"enabled": True}, "hostRoot": "/run/cilium/cgroupv2"}
    assert after["kubeProxyReplacement"] is True
    assert after["k8sServiceHost"] == "10.5.0.10"
    different = {key for key in before if before[key] != after[key]}
    assert different == {"cgroup", "k8sServiceHost", "ipv4NativeRoutingCIDR"}


def test_offline_cilium_runs_without_envoy(checkout: Source):
    values = documents(changed(checkout), CILIUM)[0]["spec"]["values"]

    assert (values["envoy"]["enabled"], values["l7Proxy"], values["image"]["useDigest"]) == (
        False,
        False,
        False,
    )


def test_settings_are_merged_mapping_by_mapping():
    assert merged({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 3}, "d": [2]}) == {
        "a": {"b": 3, "c": 2},
        "d": [2],
    }


def test_a_mirror_is_configured_with_talos_own_document():
    network = Settings("1+1", "10.9.0.0/24", "mirror").network

    (document,) = mirror_documents(gateway_of(network), ["quay.io"])

    assert document == {
        "apiVersion": "v1alpha1",
        "kind": "RegistryMirrorConfig",
        "name": "quay.io",
        "endpoints": [{"url": "http://10.9.0.1:5000"}],
        "skipFallback": True,
    }


def test_without_discovery_only_control_planes_answer_before_the_bootstrap(
    checkout: Source, tmp_path: Path
):
    cluster = load(written(changed(checkout), tmp_path), "infra")

    assert not cluster.discovery
    assert cluster.early_nodes == cluster.control_plane


def test_with_discovery_all_machines_answer_before_the_bootstrap():
    cluster = load(ROOT, "infra")

    assert cluster.discovery
    assert cluster.early_nodes == cluster.nodes
