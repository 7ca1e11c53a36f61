"""The kind lab's copy of the definition is valid, and differs only in names and addresses."""

from __future__ import annotations

import stat
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
import yaml

from firstlight.definition import load, load_all
from firstlight.definition.model import Cluster
from firstlight.errors import TargetError
from firstlight.tools.kubeconfig import kubeconfig_problem
from lab.docker.definition import require_same_size
from lab.kind.cluster import Found, Node
from lab.kind.definition import export, for_kind, renamed
from lab.simulated.checkout import Source, read_checkout
from lab.simulated.paths import LabPaths

ROOT = Path(__file__).resolve().parents[2]
SUBNET = IPv4Network("10.6.0.0/24")

# kind's names; the addresses are unordered, because the engine assigns them as containers start.
FOUND = Found(
    control_planes=tuple(
        Node(f"firstlight-infra-control-plane{n}", True, IPv4Address(f"10.6.0.{last}"))
        for n, last in (("", 229), ("2", 226), ("3", 224))
    ),
    workers=tuple(
        Node(f"firstlight-infra-worker{n}", False, IPv4Address(f"10.6.0.{last}"))
        for n, last in (("", 225), ("2", 230), ("3", 228))
    ),
    endpoint=IPv4Address("10.6.0.227"),
)

# The output of `kind get kubeconfig` in kind 0.32 (pkg/cluster/internal/kubeconfig).
KINDS = """apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://127.0.0.1:41237
  name: kind-firstlight-infra
contexts:
- context:
    cluster: kind-firstlight-infra
    user: kind-firstlight-infra
  name: kind-firstlight-infra
current-context: kind-firstlight-infra
kind: Config
users:
- name: kind-firstlight-infra
  user:
    client-certificate-data: Q0VSVA==
    client-key-data: S0VZ
"""


@pytest.fixture(scope="module")
def checkout() -> Source:
    return read_checkout(ROOT)


@pytest.fixture(scope="module")
def defined() -> Cluster:
    return load(ROOT, "infra")


@pytest.fixture
def copied(checkout: Source, defined: Cluster, tmp_path: Path) -> Cluster:
    for path, content in for_kind(checkout, defined, SUBNET, FOUND).files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    load_all(tmp_path)
    return load(tmp_path, "infra")


def test_the_copy_has_kinds_names_and_addresses(copied: Cluster) -> None:
    assert {node.hostname: node.address for node in copied.nodes} == {
        node.hostname: node.address for node in (*FOUND.control_planes, *FOUND.workers)
    }
    assert copied.control_plane_names == {node.hostname for node in FOUND.control_planes}


def test_kinds_load_balancer_is_the_endpoint_everywhere(copied: Cluster) -> None:
    assert (copied.vip, copied.endpoint) == (FOUND.endpoint, "https://10.6.0.227:6443")
    assert copied.release("cilium").values["k8sServiceHost"] == "10.6.0.227"
    assert copied.release("cilium").values["ipv4NativeRoutingCIDR"] == str(SUBNET)


def test_charts_come_from_where_the_definition_says(checkout: Source, defined: Cluster) -> None:
    made = for_kind(checkout, defined, SUBNET, FOUND)

    assert not made.services["infra"].serves_charts
    assert made.services["infra"].git_url == "ssh://git@10.6.0.1:2222/k8s-ops.git"
    unchanged = [
        path
        for path in checkout.files
        if path.name == "ocirepository.yaml" or "spegel" in path.parts
    ]
    assert [path for path in unchanged if made.files[path] != checkout.files[path]] == []


def test_other_clusters_are_unchanged(checkout: Source, defined: Cluster) -> None:
    made = for_kind(checkout, defined, SUBNET, FOUND)

    assert [
        path
        for path in checkout.files
        if "infra" not in path.parts and made.files[path] != checkout.files[path]
    ] == []


def test_a_subnet_of_another_size_is_refused_with_one_that_fits() -> None:
    with pytest.raises(TargetError, match="both must have the same size") as caught:
        require_same_size(
            IPv4Network("10.25.11.0/24"), IPv4Network("10.6.0.0/23"), "FIRSTLIGHT_KIND_SUBNET"
        )

    assert caught.value.next_step == "FIRSTLIGHT_KIND_SUBNET=10.6.0.0/24"


def test_the_kubeconfig_is_what_the_story_says(copied: Cluster, tmp_path: Path) -> None:
    paths = LabPaths("infra", tmp_path / "state", tmp_path, target="kind")

    assert export(paths, renamed(KINDS, copied))

    assert paths.kubeconfig.name == "k8s-ops-infra"
    assert stat.S_IMODE(paths.kubeconfig.stat().st_mode) == 0o600
    assert kubeconfig_problem(paths.kubeconfig, copied) == ""
    assert (
        yaml.safe_load(paths.kubeconfig.read_text())["users"][0]["user"]["client-key-data"]
        == "S0VZ"
    )


def test_a_kubeconfig_that_is_right_is_not_written_again_and_one_that_others_can_read_is(
    copied: Cluster, tmp_path: Path
) -> None:
    paths = LabPaths("infra", tmp_path / "state", tmp_path, target="kind")
    text = renamed(KINDS, copied)
    export(paths, text)

    assert not export(paths, text)
    paths.kubeconfig.chmod(0o644)
    assert export(paths, text)

    assert stat.S_IMODE(paths.kubeconfig.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "[]", KINDS.replace("users:", "people:"), "{unclosed"])
def test_an_unexpected_kubeconfig_is_refused_without_showing_it(copied: Cluster, text: str) -> None:
    with pytest.raises(TargetError, match="cannot read the kubeconfig that kind made") as caught:
        renamed(text, copied)

    assert "S0VZ" not in str(caught.value)


def test_a_cluster_with_other_nodes_than_the_definition_is_refused(defined: Cluster) -> None:
    from lab.kind.cluster import require_all

    fewer = replace(FOUND, workers=FOUND.workers[:2])
    with pytest.raises(TargetError, match=r"it has 3\+2 nodes, the definition 3\+3"):
        require_all(
            fewer,
            "firstlight-infra",
            [node.hostname in defined.control_plane_names for node in defined.nodes],
        )
