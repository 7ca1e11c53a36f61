"""The inventory becomes Talos documents and patches, in the order of application."""

from __future__ import annotations

import shutil

import pytest
import yaml

from firstlight.definition import load
from firstlight.definition.machineplan import plan_generation
from tests.definition.trees import TWO_CLUSTERS, VALID, edited

TALCONFIG = "clusters/infra/talos/talconfig.yaml"


@pytest.fixture
def tree(tmp_path):
    shutil.copytree(TWO_CLUSTERS, tmp_path, dirs_exist_ok=True)
    return tmp_path


def _documents(plan, index=0):
    documents = list(yaml.safe_load_all(plan.machines[index].documents))
    return {document.get("kind", "v1alpha1"): document for document in documents}


def test_a_control_plane_node_has_a_hostname_a_bond_and_the_vip(tree):
    plan = plan_generation(load(tree, "infra"))

    documents = _documents(plan)
    assert documents["HostnameConfig"] == {
        "apiVersion": "v1alpha1",
        "kind": "HostnameConfig",
        "hostname": "infra-cp-1",
        "auto": "off",
    }
    assert documents["BondConfig"] == {
        "apiVersion": "v1alpha1",
        "kind": "BondConfig",
        "name": "bond0",
        "links": ["enp1s0f0", "enp1s0f1"],
        "bondMode": "802.3ad",
        "lacpRate": "fast",
        "miimon": 100,
        "mtu": 9000,
        "addresses": [{"address": "10.25.11.11/24"}],
        # The default route has no destination: Talos rejects 0.0.0.0/0 here.
        "routes": [{"gateway": "10.25.11.1"}],
    }
    assert documents["Layer2VIPConfig"] == {
        "apiVersion": "v1alpha1",
        "kind": "Layer2VIPConfig",
        "name": "10.25.11.10",
        "link": "bond0",
    }
    assert documents["ResolverConfig"]["nameservers"] == [{"address": "10.25.11.1"}]
    assert documents["v1alpha1"]["cluster"]["network"] == {
        "podSubnets": ["10.42.0.0/16"],
        "serviceSubnets": ["10.43.0.0/16"],
        "cni": {"name": "none"},
    }
    assert documents["v1alpha1"]["cluster"]["apiServer"] == {"certSANs": ["10.25.11.10"]}


def test_a_worker_has_neither_vip_nor_api_server(tree):
    documents = _documents(plan_generation(load(tree, "infra")), index=3)

    assert "Layer2VIPConfig" not in documents
    assert "apiServer" not in documents["v1alpha1"]["cluster"]


def test_a_group_setting_applies_where_the_node_leaves_it_empty(tree):
    edited(
        tree,
        TALCONFIG,
        "controlPlane:\n  patches",
        "controlPlane:\n  nameservers: [10.25.11.3]\n  patches",
    )
    edited(
        tree,
        TALCONFIG,
        "  - hostname: infra-cp-2\n",
        "  - hostname: infra-cp-2\n    nameservers: []\n",
    )

    plan = plan_generation(load(tree, "infra"))

    # The node's own, the group's instead of an empty one, the group's, nothing for a worker.
    servers = [
        _documents(plan, index).get("ResolverConfig", {}).get("nameservers") for index in range(4)
    ]
    assert servers == [
        [{"address": "10.25.11.1"}],
        [{"address": "10.25.11.3"}],
        [{"address": "10.25.11.3"}],
        None,
    ]


def test_every_machine_has_its_role_disk_and_image(tree):
    plan = plan_generation(load(tree, "infra"))

    assert [machine.role for machine in plan.machines] == [
        "controlplane",
        "controlplane",
        "controlplane",
        "worker",
    ]
    assert {machine.install_disk for machine in plan.machines} == {"/dev/nvme0n1"}
    assert {machine.install_image for machine in plan.machines} == {
        "ghcr.io/siderolabs/installer:v1.12.0"
    }


def test_selectors_vlans_and_routes_have_their_own_documents():
    plan = plan_generation(load(VALID / "other-forms", "edge"))

    documents = list(yaml.safe_load_all(plan.machines[0].documents))
    named = [
        (document["kind"], document.get("name")) for document in documents if "kind" in document
    ]
    assert named == [
        ("HostnameConfig", None),
        ("ResolverConfig", None),
        ("LinkAliasConfig", "bond0-m0"),
        ("LinkAliasConfig", "bond0-m1"),
        ("BondConfig", "bond0"),
        ("VLANConfig", "bond0.7"),
        ("Layer2VIPConfig", "192.0.2.10"),
        ("LinkAliasConfig", "link1"),
        ("LinkConfig", "link1"),
        ("DHCPv4Config", "link1"),
    ]
    assert documents[5]["links"] == ["bond0-m0", "bond0-m1"]
    assert documents[6]["routes"][1] == {
        "gateway": "192.0.2.2",
        "metric": 10,
        "destination": "198.51.100.0/24",
    }
    assert documents[8]["selector"] == {"match": 'glob("igb", link.driver) && link.type == 1'}
    assert documents[0]["machine"]["install"] == {"diskSelector": {"size": ">= 100GB"}}
    assert plan.machines[0].install_disk == ""
    assert plan.needs_talhelper == ()


def test_patches_are_applied_in_the_order_group_node_global(tree):
    edited(
        tree,
        TALCONFIG,
        "    installDisk",
        "    patches: ['machine: {sysctls: {order: node}}']\n    installDisk",
    )

    machine = plan_generation(load(tree, "infra")).machines[0]

    assert [
        "proxy" in machine.patches[0],
        "order: node" in machine.patches[1],
        "kubelet" in machine.patches[2],
    ] == [True, True, True]


def test_a_node_can_override_the_patches_of_its_group(tree):
    edited(
        tree,
        TALCONFIG,
        "  - hostname: infra-worker-1\n",
        "  - hostname: infra-worker-1\n    overridePatches: true\n",
    )
    edited(
        tree,
        TALCONFIG,
        "nodes:\n",
        "worker:\n  patches: ['machine: {sysctls: {of: group}}']\nnodes:\n",
    )

    machine = plan_generation(load(tree, "infra")).machines[3]

    assert not any("group" in patch for patch in machine.patches)


@pytest.mark.parametrize(
    ("old", "new", "needed"),
    [
        (
            "    installDisk: /dev/nvme0n1\n",
            "    installDisk: /dev/nvme0n1\n    schematic: {customization: {}}\n",
            "schematic",
        ),
        (
            "        mtu: 9000\n",
            "        mtu: 9000\n        bridge: {interfaces: [eth9]}\n",
            "bridge",
        ),
        (
            "          miimon: 100\n",
            "          miimon: 100\n          primary: eth0\n",
            "bond.primary",
        ),
        (
            "patches:\n",
            "patches:\n  - 'machine: {env: {proxy: \"${PROXY}\"}}'\n",
            "a variable in clusters/infra/talos/talconfig.yaml",
        ),
    ],
)
def test_what_only_talhelper_can_generate_is_named(tree, old: str, new: str, needed: str):
    edited(tree, TALCONFIG, old, new)

    assert needed in plan_generation(load(tree, "infra")).needs_talhelper


@pytest.mark.parametrize("path", ["talconfig.yaml", "patches/kubelet.yaml", "talsecret.sops.yaml"])
def test_the_digest_changes_with_every_input(tree, path: str):
    cluster = load(tree, "infra")
    before = plan_generation(cluster).digest

    file = cluster.talos_dir / path
    file.write_text(file.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")

    assert plan_generation(cluster).digest != before


def test_the_digest_does_not_depend_on_the_folder(tree, tmp_path):
    elsewhere = shutil.copytree(TWO_CLUSTERS, tmp_path / "elsewhere")

    assert (
        plan_generation(load(tree, "infra")).digest
        == plan_generation(load(elsewhere, "infra")).digest
    )
