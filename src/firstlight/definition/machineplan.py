"""What each machine's configuration is generated from: arguments for `talosctl gen config`, and patches in order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from firstlight.definition import links, patches
from firstlight.definition.findings import Findings
from firstlight.definition.talconfig import read_inventory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firstlight.definition.model import Cluster
    from firstlight.definition.talconfig import Inventory, InventoryNode

_INSTALLER = "ghcr.io/siderolabs/installer"
# Keys of talconfig that lead to machine configuration which only talhelper can make.
_TALHELPER_ONLY = (
    "schematic",
    "imageSchematic",
    "machineSpec",
    "machineDisks",
    "machineFiles",
    "ingressFirewall",
    "extensionServices",
    "extraManifests",
    "volumes",
    "userVolumes",
    "filenameTmpl",
    "ignoreHostname",
)
_PATCH_TALHELPER_ONLY = {"{{": "a template", "${": "a variable", "ENC[": "an encrypted value"}


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """One machine's part.

    Attributes:
        hostname: The machine.
        role: `controlplane` or `worker`, as talosctl calls its output.
        install_disk: The disk for Talos, empty where a selector chooses it.
        install_image: Talos's installer image with its tag.
        documents: The patch that the inventory stands for, as YAML documents; it is applied first.
        patches: The patches that the inventory names, as YAML texts, in the order in which they are applied.
    """

    hostname: str
    role: str
    install_disk: str
    install_image: str
    documents: str
    patches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GenerationPlan:
    """All that the machine configs of a cluster are generated from, but for the secrets.

    Attributes:
        dns_domain: The cluster's DNS domain.
        machines: One part for each machine, in the order of the file.
        needs_talhelper: What the definition uses that only talhelper can turn into machine configuration.
        digest: Changes whenever any input changes, the encrypted secrets included.
    """

    dns_domain: str
    machines: tuple[MachinePlan, ...]
    needs_talhelper: tuple[str, ...]
    digest: str


def plan_generation(cluster: Cluster) -> GenerationPlan:
    """Read what the cluster's machine configs are made from.

    Raises:
        DefinitionError: The files changed since the cluster was loaded, and are wrong now.
    """
    findings = Findings()
    path = (cluster.talos_dir / "talconfig.yaml").relative_to(cluster.root)
    inventory = read_inventory(cluster.root, path, findings)
    named = (
        patches.read_patches(cluster.root, inventory, findings) if inventory is not None else None
    )
    findings.raise_if_any(cluster.name)
    # Without a problem both are there.
    assert inventory is not None  # noqa: S101
    assert named is not None  # noqa: S101
    return GenerationPlan(
        dns_domain=inventory.data.get("domain", "cluster.local"),
        machines=tuple(_machine(inventory, node, named) for node in inventory.nodes),
        needs_talhelper=tuple(sorted(set(_needs_talhelper(inventory, named)))),
        digest=_digest(cluster, inventory, named),
    )


def _machine(inventory: Inventory, node: InventoryNode, named: patches.PatchSet) -> MachinePlan:
    image = node.data.get("talosImageURL", _INSTALLER)
    return MachinePlan(
        hostname=node.node.hostname,
        role=node.node.role.value,
        install_disk=node.data.get("installDisk", ""),
        install_image=f"{image}:{inventory.talos_version}",
        documents=yaml.safe_dump_all(_documents(inventory, node), sort_keys=False),
        patches=tuple(patch.text for patch in named.of(node) if patch.documents),
    )


def _documents(inventory: Inventory, node: InventoryNode) -> list[dict[str, Any]]:
    documents = [_machine_config(inventory, node)]
    # `auto: stable` is what gen config writes; the two contradict each other unless it is off.
    documents.append(
        {
            "apiVersion": "v1alpha1",
            "kind": "HostnameConfig",
            "hostname": node.node.hostname,
            "auto": "off",
        }
    )
    resolver: dict[str, Any] = {}
    if node.data.get("nameservers"):
        resolver["nameservers"] = [{"address": address} for address in node.data["nameservers"]]
    if node.data.get("disableSearchDomain"):
        resolver["searchDomains"] = {"disableDefault": True}
    if resolver:
        documents.append({"apiVersion": "v1alpha1", "kind": "ResolverConfig", **resolver})
    return documents + links.link_documents(node.data.get("networkInterfaces", []))


def _machine_config(inventory: Inventory, node: InventoryNode) -> dict[str, Any]:
    data, own = inventory.data, node.data
    machine: dict[str, Any] = {
        "certSANs": [*data.get("additionalMachineCertSans", []), *own.get("certSANs", [])]
    }
    cluster: dict[str, Any] = {
        "network": {
            "podSubnets": [str(network) for network in inventory.pod_networks],
            "serviceSubnets": [str(network) for network in inventory.service_networks],
        }
    }
    if "cniConfig" in data:
        cluster["network"]["cni"] = data["cniConfig"]
    for key in ("nodeLabels", "nodeAnnotations", "nodeTaints"):
        if own.get(key):
            machine[key] = own[key]
    if "installDiskSelector" in own:
        machine["install"] = {"diskSelector": own["installDiskSelector"]}
    if own.get("kernelModules"):
        machine["kernel"] = {"modules": own["kernelModules"]}
    if own["controlPlane"]:
        cluster["apiServer"] = {"certSANs": data.get("additionalApiServerCertSans", [])}
        if data.get("inlineManifests"):
            cluster["inlineManifests"] = data["inlineManifests"]
        if data.get("allowSchedulingOnControlPlanes") or data.get("allowSchedulingOnMasters"):
            cluster["allowSchedulingOnControlPlanes"] = True
    return {"machine": machine, "cluster": cluster}


def _needs_talhelper(inventory: Inventory, named: patches.PatchSet) -> Iterator[str]:
    if "imageFactory" in inventory.data:
        yield "imageFactory"
    for node in inventory.nodes:
        yield from (key for key in _TALHELPER_ONLY if node.data.get(key))
        yield from links.unsupported_keys(node.data.get("networkInterfaces", []))
        for patch in named.of(node):
            yield from (
                f"{what} in {patch.path}"
                for mark, what in _PATCH_TALHELPER_ONLY.items()
                if mark in patch.text
            )


def _digest(cluster: Cluster, inventory: Inventory, named: patches.PatchSet) -> str:
    files = {cluster.root / inventory.path, cluster.talos_dir / "talsecret.sops.yaml"}
    files |= {cluster.root / patch.path for chosen in named.by_field.values() for patch in chosen}
    total = hashlib.sha256()
    for file in sorted(files):
        content = file.read_bytes()
        total.update(f"{file.relative_to(cluster.root)}\0{len(content)}\0".encode() + content)
    return total.hexdigest()
