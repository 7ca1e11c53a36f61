"""Valid definitions load with the values of their files."""

from __future__ import annotations

import dataclasses
import shutil
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from firstlight.definition import Cluster, Role, cluster_names, load, load_all
from firstlight.target import kubeconfig_path
from tests.definition.trees import CHECKOUT, TWO_CLUSTERS, VALID, edited


@pytest.mark.parametrize(
    "root",
    [*sorted(VALID.iterdir()), CHECKOUT],
    ids=lambda root: root.name if root != CHECKOUT else "checkout",
)
def test_a_valid_definition_loads(root: Path):
    clusters = load_all(root)

    assert tuple(cluster.name for cluster in clusters) == cluster_names(root)
    assert clusters == tuple(load(root, cluster.name) for cluster in clusters)


def test_the_clusters_match_the_story():
    infra, apps = load(CHECKOUT, "infra"), load(CHECKOUT, "apps")

    assert (infra.id, apps.id) == (1, 2)
    assert [str(node.address) for node in infra.nodes] == [
        f"10.25.11.{host}" for host in range(11, 17)
    ]
    assert [node.role for node in infra.nodes] == [Role.CONTROL_PLANE] * 3 + [Role.WORKER] * 3
    assert {(node.mtu, node.bond_mode) for node in infra.nodes} == {(9000, "802.3ad")}
    assert (infra.endpoint, infra.vip) == ("https://10.25.11.10:6443", IPv4Address("10.25.11.10"))
    assert (infra.talos_version, infra.kubernetes_version) == ("v1.12.0", "v1.35.0")
    assert infra.age_recipient == "age1j3hsfptdfsfwvkf504etjkrtmajny9csrfh5s24uqh6fchmg5dgqg087ek"
    assert {str(node.address).rsplit(".", 1)[0] for node in apps.nodes} == {"10.25.13"}


def test_the_versions_match_the_story():
    releases = {
        release.name: (release.chart, release.version)
        for release in load(CHECKOUT, "infra").releases
    }

    assert releases == {
        "cilium": ("cilium", "1.18.5"),
        "coredns": ("coredns", "1.45.0"),
        "spegel": ("spegel", "0.4.0"),
        "cert-manager": ("cert-manager", "v1.19.2"),
        # The chart that carries Flux 2.7.5.
        "flux": ("flux2", "2.17.2"),
    }


def test_every_part_of_a_cluster_is_read():
    cluster = load(TWO_CLUSTERS, "infra")

    assert cluster.node_network == IPv4Network("10.25.11.0/24")
    assert cluster.pod_networks == (IPv4Network("10.42.0.0/16"),)
    assert cluster.service_networks == (IPv4Network("10.43.0.0/16"),)
    assert cluster.first_control_plane.hostname == "infra-cp-1"
    assert cluster.control_plane_names == {"infra-cp-1", "infra-cp-2", "infra-cp-3"}
    assert [release.name for release in cluster.releases] == [
        "cilium",
        "coredns",
        "spegel",
        "cert-manager",
        "flux",
    ]
    assert cluster.crd_releases == ("gateway-api-crds", "cilium-crds", "cert-manager-crds")
    assert cluster.release("coredns").source.url == "oci://ghcr.io/coredns/charts/coredns"
    assert cluster.release("coredns").values == {
        "service": {"name": "kube-dns", "clusterIP": "10.43.0.10"}
    }
    assert cluster.release("flux").values == {
        "crds": {"annotations": {"helm.sh/resource-policy": "keep"}}
    }
    assert (cluster.sync.url, cluster.sync.branch, cluster.sync.path) == (
        "ssh://git@github.com/example-org/k8s-ops.git",
        "main",
        "./clusters/infra/flux",
    )
    assert (cluster.sync.secret, cluster.sync.decryption_secret, cluster.sync.namespace) == (
        "flux-system",
        "sops-age",
        "flux-system",
    )
    assert [(found.reference, found.line) for found in cluster.references] == [
        ("op://k8s-ops/sops-age/private-key", 7),
        ("op://k8s-ops/infra-deploy-key/identity", 15),
        ("op://k8s-ops/infra-deploy-key/ssh/known_hosts", 16),
    ]


def test_other_forms_of_a_definition_load_too():
    cluster = load(VALID / "other-forms", "edge")

    assert (cluster.nodes[0].link, cluster.nodes[0].mtu, cluster.nodes[0].bond_mode) == (
        "bond0.7",
        1500,
        "active-backup",
    )
    assert cluster.vip == IPv4Address("192.0.2.10")
    assert cluster.release("cert-manager").source.namespace == "flux-system"
    assert cluster.release("monitoring-crds").source.plain_http
    assert (
        cluster.references[1].reference
        == "op://k8s-ops/edge-deploy-key/private key?ssh-format=openssh"
    )


def test_a_kustomization_can_refer_to_another_folder(tmp_path):
    shutil.copytree(TWO_CLUSTERS, tmp_path, dirs_exist_ok=True)
    flux = tmp_path / "clusters/infra/flux"
    (flux / "shared").mkdir()
    (flux / "cluster-vars.yaml").rename(flux / "shared/cluster-vars.yaml")
    edited(tmp_path, "clusters/infra/flux/kustomization.yaml", "  - cluster-vars.yaml\n", "")
    edited(
        tmp_path,
        "clusters/infra/flux/config/spegel/kustomization.yaml",
        "resources:\n",
        "resources:\n  - ../../shared/cluster-vars.yaml\n",
    )

    assert load(tmp_path, "infra").name == "infra"


def test_a_field_may_be_replaced_by_flux_or_be_empty_where_kubernetes_allows_it(tmp_path):
    shutil.copytree(TWO_CLUSTERS, tmp_path, dirs_exist_ok=True)
    flux = "clusters/infra/flux"
    edited(
        tmp_path,
        f"{flux}/config/spegel/helmrelease.yaml",
        "  interval: 1h\n",
        "  interval: ${INTERVAL}\n  suspend: ${SUSPENDED}\n  maxHistory: ${HISTORY:=3}\n",
    )
    edited(
        tmp_path,
        f"{flux}/cluster-vars.yaml",
        "  namespace: flux-system\n",
        "  namespace: flux-system\n  labels:\n  creationTimestamp: null\n",
    )

    assert load(tmp_path, "infra").name == "infra"


def test_two_kustomizations_that_rename_may_use_an_object_twice(tmp_path):
    shutil.copytree(TWO_CLUSTERS, tmp_path, dirs_exist_ok=True)
    flux = tmp_path / "clusters/infra/flux"
    edited(
        tmp_path,
        "clusters/infra/flux/kustomization.yaml",
        "resources:\n",
        "resources:\n  - config/blue\n  - config/green\n",
    )
    for colour in ("blue", "green"):
        (flux / "config" / colour).mkdir()
        (flux / "config" / colour / "kustomization.yaml").write_text(
            f"namespace: {colour}\nresources: [../shared.yaml, own.yaml]\n", encoding="utf-8"
        )
        (flux / "config" / colour / "own.yaml").write_text(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n", encoding="utf-8"
        )
    (flux / "config/shared.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\n", encoding="utf-8"
    )

    assert load(tmp_path, "infra").name == "infra"


def test_a_privileged_cilium_needs_no_lists_of_capabilities(tmp_path):
    shutil.copytree(TWO_CLUSTERS, tmp_path, dirs_exist_ok=True)
    cilium = "clusters/infra/flux/config/cilium/helmrelease.yaml"
    text = (tmp_path / cilium).read_text(encoding="utf-8")
    before, _ = text.split("      capabilities:\n")
    (tmp_path / cilium).write_text(f"{before}      privileged: true\n", encoding="utf-8")

    assert load(tmp_path, "infra").name == "infra"


def test_a_cluster_is_immutable():
    cluster = load(TWO_CLUSTERS, "apps")

    with pytest.raises(dataclasses.FrozenInstanceError):
        cluster.name = "other"  # type: ignore[misc]


def test_another_cluster_needs_no_python(tmp_path):
    shutil.copytree(TWO_CLUSTERS, tmp_path, dirs_exist_ok=True)
    for folder in ("clusters", "bootstrap"):
        shutil.copytree(tmp_path / folder / "infra", tmp_path / folder / "attic")
        for file in (tmp_path / folder / "attic").rglob("*.*"):
            if file.is_file():
                text = file.read_text(encoding="utf-8")
                for old, new in (
                    ("infra", "attic"),
                    ("10.25.11.", "10.25.17."),
                    ("10.42.", "10.62."),
                    ("10.43.", "10.63."),
                    ("id: 1\n", "id: 3\n"),
                ):
                    text = text.replace(old, new)
                file.write_text(
                    text.replace('CLUSTER_ID: "1"', 'CLUSTER_ID: "3"'), encoding="utf-8"
                )

    names = [(cluster.name, cluster.id) for cluster in load_all(tmp_path)]

    assert names == [("apps", 2), ("attic", 3), ("infra", 1)]


def test_paths_follow_from_the_cluster_name():
    cluster: Cluster = load(TWO_CLUSTERS, "infra")

    assert cluster.machine_config(cluster.nodes[0]).relative_to(TWO_CLUSTERS).as_posix() == (
        "clusters/infra/talos/clusterconfig/infra-infra-cp-1.yaml"
    )
    assert cluster.context == "admin@infra"
    assert kubeconfig_path(Path("/home/carol"), "infra") == Path("/home/carol/.kube/k8s-ops-infra")
