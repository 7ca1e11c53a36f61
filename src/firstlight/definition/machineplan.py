"""Plan the machine configs: what `talosctl gen config` and the patches receive for each machine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from firstlight.definition.findings import Findings
from firstlight.definition.patches import read_patches
from firstlight.definition.talconfig import read_inventory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from firstlight.definition.model import Cluster
    from firstlight.definition.patches import PatchSet
    from firstlight.definition.talconfig import Inventory, InventoryNode

Manifest = dict[str, Any]

_INSTALLER = "ghcr.io/siderolabs/installer"

# What only talhelper can turn into machine config: keys of talconfig.yaml, keys of one of its
# interfaces, keys of a bond, and text in a patch.
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
_INTERFACE_TALHELPER_ONLY = ("bridge", "bridgePort", "wireguard", "ignore")
_BOND_TALHELPER_ONLY = ("adActorSystem", "primary")
_PATCH_TALHELPER_ONLY = {"{{": "a template", "${": "a variable", "ENC[": "an encrypted value"}

# Bond settings whose name in a BondConfig differs from that in talconfig.yaml.
_BOND_NAMES = {
    "mode": "bondMode",
    "interfaces": "links",
    "arpIPTarget": "arpIpTargets",
    "resendIgmp": "resendIGMP",
    "tlbDynamicLb": "tlbLogicalLb",
    "peerNotifyDelay": "peerNotifDelay",
}
_SELECTORS = {
    "hardwareAddr": "mac(link.hardware_addr)",
    "permanentAddr": "mac(link.permanent_addr)",
    "busPath": "link.bus_path",
    "driver": "link.driver",
    "pciID": "link.pciid",
}
_DEFAULT_ROUTES = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """The inputs of one machine's config.

    Attributes:
        hostname: The machine.
        role: `controlplane` or `worker`, as in talosctl's `--output-types`.
        install_disk: The disk for Talos; empty if a selector chooses it.
        install_image: Talos's installer image with its tag.
        documents: The patch made from the inventory, as YAML documents; it is applied first.
        patches: The patches that the inventory names, as YAML, in the order of application.
    """

    hostname: str
    role: str
    install_disk: str
    install_image: str
    documents: str
    patches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GenerationPlan:
    """The inputs of a cluster's machine configs, except the secrets.

    Attributes:
        dns_domain: The cluster's DNS domain.
        machines: One plan for each machine, in the order of the file.
        needs_talhelper: What the definition uses that only talhelper can generate.
        digest: Changes whenever an input changes, the encrypted secrets included.
    """

    dns_domain: str
    machines: tuple[MachinePlan, ...]
    needs_talhelper: tuple[str, ...]
    digest: str


def plan_generation(cluster: Cluster) -> GenerationPlan:
    """Return the inputs of the cluster's machine configs, read from its files.

    Raises:
        DefinitionError: The files became wrong after the cluster was loaded.
    """
    findings = Findings()
    inventory = read_inventory(cluster.root, cluster.talconfig.relative_to(cluster.root), findings)
    named = read_patches(cluster.root, inventory, findings) if inventory is not None else None
    findings.raise_if_any(cluster.name)
    # Both exist unless a problem was added, and problems were raised above.
    assert inventory is not None  # noqa: S101
    assert named is not None  # noqa: S101
    return GenerationPlan(
        dns_domain=inventory.data.get("domain", "cluster.local"),
        machines=tuple(_machine(inventory, node, named) for node in inventory.nodes),
        needs_talhelper=tuple(sorted(set(_needs_talhelper(inventory, named)))),
        digest=_digest(cluster, named),
    )


def _machine(inventory: Inventory, node: InventoryNode, named: PatchSet) -> MachinePlan:
    image = node.data.get("talosImageURL", _INSTALLER)
    return MachinePlan(
        hostname=node.node.hostname,
        role=node.node.role.value,
        install_disk=node.data.get("installDisk", ""),
        install_image=f"{image}:{inventory.talos_version}",
        documents=yaml.safe_dump_all(_documents(inventory, node), sort_keys=False),
        patches=tuple(patch.text for patch in named.of(node) if patch.documents),
    )


def _needs_talhelper(inventory: Inventory, named: PatchSet) -> Iterator[str]:
    if "imageFactory" in inventory.data:
        yield "imageFactory"
    for node in inventory.nodes:
        yield from (key for key in _TALHELPER_ONLY if node.data.get(key))
        for interface in node.data.get("networkInterfaces", []):
            bond = interface.get("bond", {})
            yield from (key for key in _INTERFACE_TALHELPER_ONLY if key in interface)
            yield from (f"bond.{key}" for key in _BOND_TALHELPER_ONLY if key in bond)
        for patch in named.of(node):
            for mark, what in _PATCH_TALHELPER_ONLY.items():
                if mark in patch.text:
                    yield f"{what} in {patch.path}"


def _digest(cluster: Cluster, named: PatchSet) -> str:
    files = {cluster.talconfig, cluster.talsecret}
    files |= {cluster.root / patch.path for chosen in named.by_field.values() for patch in chosen}
    total = hashlib.sha256()
    for file in sorted(files):
        content = file.read_bytes()
        total.update(f"{file.relative_to(cluster.root)}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def _documents(inventory: Inventory, node: InventoryNode) -> list[Manifest]:
    documents = [_machine_config(inventory, node)]
    # gen config writes `auto: stable`, which contradicts a hostname unless it is off.
    hostname = {"hostname": node.node.hostname, "auto": "off"}
    documents.append({"apiVersion": "v1alpha1", "kind": "HostnameConfig", **hostname})
    resolver: Manifest = {}
    if node.data.get("nameservers"):
        resolver["nameservers"] = [{"address": address} for address in node.data["nameservers"]]
    if node.data.get("disableSearchDomain"):
        resolver["searchDomains"] = {"disableDefault": True}
    if resolver:
        documents.append({"apiVersion": "v1alpha1", "kind": "ResolverConfig", **resolver})
    return documents + _link_documents(node.data.get("networkInterfaces", []))


def _machine_config(inventory: Inventory, node: InventoryNode) -> Manifest:
    data, own = inventory.data, node.data
    machine: Manifest = {
        "certSANs": [*data.get("additionalMachineCertSans", []), *own.get("certSANs", [])]
    }
    cluster: Manifest = {
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


def _link_documents(interfaces: list[Mapping[str, Any]]) -> list[Manifest]:
    """Return the documents of a machine's links, each alias before the link that uses it.

    talconfig.yaml keeps the form that Talos had before 1.12 (`machine.network.interfaces`). The
    documents replace that form, and a patch can name them (`kind: BondConfig`). The result equals
    what talhelper generates for Talos 1.12.
    """
    documents: list[Manifest] = []
    for index, interface in enumerate(interfaces):
        name = interface.get("interface", f"link{index}")
        if "deviceSelector" in interface:
            documents.append(_alias(name, interface["deviceSelector"]))
        documents += _link(name, interface)
        for vlan in interface.get("vlans", []):
            vlan_name = f"{name}.{vlan['vlanId']}"
            settings = {"vlanID": vlan["vlanId"], "parent": name, **_common(vlan)}
            documents.append(_document("VLANConfig", vlan_name, settings))
            documents += _addressing(vlan_name, vlan)
    return documents


def _link(name: str, interface: Mapping[str, Any]) -> list[Manifest]:
    if "bond" not in interface:
        kind = "DummyLinkConfig" if interface.get("dummy") else "LinkConfig"
        return [_document(kind, name, _common(interface)), *_addressing(name, interface)]
    bond = interface["bond"]
    members = [
        _alias(f"{name}-m{index}", selector)
        for index, selector in enumerate(bond.get("deviceSelectors", []))
    ]
    settings = {
        _BOND_NAMES.get(key, key): value for key, value in bond.items() if key != "deviceSelectors"
    }
    settings["links"] = [*bond.get("interfaces", []), *(member["name"] for member in members)]
    return [
        *members,
        _document("BondConfig", name, settings | _common(interface)),
        *_addressing(name, interface),
    ]


def _common(interface: Mapping[str, Any]) -> Manifest:
    settings: Manifest = {}
    if interface.get("mtu"):
        settings["mtu"] = interface["mtu"]
    if interface.get("addresses"):
        settings["addresses"] = [{"address": address} for address in interface["addresses"]]
    if interface.get("routes"):
        settings["routes"] = [_route(route) for route in interface["routes"]]
    return settings


def _route(route: Mapping[str, Any]) -> Manifest:
    settings = {key: route[key] for key in ("gateway", "source", "metric", "mtu") if route.get(key)}
    # The default route has no destination here; machine.network accepted 0.0.0.0/0, Talos's
    # documents reject it.
    if route.get("network") and route["network"] not in _DEFAULT_ROUTES:
        settings["destination"] = route["network"]
    return settings


def _addressing(name: str, interface: Mapping[str, Any]) -> list[Manifest]:
    documents = []
    if interface.get("dhcp"):
        options = interface.get("dhcpOptions", {})
        metric = {"routeMetric": options["routeMetric"]} if options.get("routeMetric") else {}
        if options.get("ipv4", True):
            documents.append(_document("DHCPv4Config", name, metric))
        if options.get("ipv6"):
            documents.append(_document("DHCPv6Config", name, metric))
    if "vip" in interface:
        documents.append(_document("Layer2VIPConfig", interface["vip"]["ip"], {"link": name}))
    return documents


def _alias(name: str, selector: Mapping[str, Any]) -> Manifest:
    terms = [
        f'glob("{selector[key]}", {attribute})'
        for key, attribute in _SELECTORS.items()
        if selector.get(key)
    ]
    if "physical" in selector:
        terms.append("link.type == 1" if selector["physical"] else "link.type != 1")
    return _document("LinkAliasConfig", name, {"selector": {"match": " && ".join(terms)}})


def _document(kind: str, name: str, settings: Manifest) -> Manifest:
    return {"apiVersion": "v1alpha1", "kind": kind, "name": name, **settings}
