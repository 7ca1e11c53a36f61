"""Read the Talos patches that a talconfig.yaml names, and check what they set together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firstlight.definition import document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from firstlight.definition.findings import Findings
    from firstlight.definition.talconfig import Inventory, InventoryNode


@dataclass(frozen=True, slots=True)
class Patch:
    """One strategic merge patch.

    Attributes:
        path: The file that holds it: its own, or the talconfig.yaml.
        field: The field of talconfig.yaml that names it (`controlPlane.patches[0]`).
        text: Its YAML text.
        documents: Its documents.
    """

    path: Path
    field: str
    text: str
    documents: tuple[document.Document, ...]


@dataclass(frozen=True, slots=True)
class PatchSet:
    """The patches of a cluster.

    Attributes:
        by_field: The patches by the field of talconfig.yaml that names them.
        complete: Whether every patch could be read.
    """

    by_field: dict[str, tuple[Patch, ...]]
    complete: bool

    def of(self, node: InventoryNode) -> tuple[Patch, ...]:
        """Return a node's patches in the order that talhelper uses: group, node, then global."""
        group = "controlPlane" if node.data["controlPlane"] else "worker"
        shared = (
            () if node.data.get("overridePatches") else self.by_field.get(f"{group}.patches", ())
        )
        return (
            *shared,
            *self.by_field.get(f"{node.field}.patches", ()),
            *self.by_field.get("patches", ()),
        )


def read_patches(root: Path, inventory: Inventory, findings: Findings) -> PatchSet:
    """Return every patch that the inventory names, and add problems."""
    by_field: dict[str, tuple[Patch, ...]] = {}
    known = findings.count
    for field, texts in _named(inventory):
        patches = [
            _read(root, inventory, f"{field}[{index}]", text, findings)
            for index, text in enumerate(texts)
        ]
        by_field[field] = tuple(patch for patch in patches if patch is not None)
    return PatchSet(by_field, complete=findings.count == known)


def check_patches(
    inventory: Inventory, patches: PatchSet, network: str, findings: Findings
) -> None:
    """Check that Talos leaves the CNI, kube-proxy and CoreDNS to us, and uses the node network.

    Args:
        inventory: The nodes.
        patches: Their patches.
        network: The node network; empty if it is unknown.
        findings: Receives the problems.
    """
    for node in inventory.control_plane:
        chosen = patches.of(node)
        _check_cni(inventory, chosen, findings)
        if (part := _still_on(inventory, chosen, "cluster.proxy.disabled")) is not None:
            findings.add(
                *part,
                rule="kube-proxy-not-off",
                message="Talos would install kube-proxy, which Cilium replaces",
                fix="before the bootstrap, set `cluster.proxy.disabled: true` in a control plane "
                "patch",
            )
        if (part := _still_on(inventory, chosen, "cluster.coreDNS.disabled")) is not None:
            findings.add(
                *part,
                rule="coredns-not-off",
                message="Talos would install CoreDNS, and Helm cannot import that into its own "
                "release of CoreDNS",
                fix="before the bootstrap, set `cluster.coreDNS.disabled: true` in a control "
                "plane patch",
            )
        if network:
            field = "cluster.etcd.advertisedSubnets"
            _check_subnets(inventory, chosen, field, network, findings)
    for node in inventory.nodes:
        if network:
            field = "machine.kubelet.nodeIP.validSubnets"
            _check_subnets(inventory, patches.of(node), field, network, findings)


def uses_discovery(inventory: Inventory, patches: PatchSet) -> bool:
    """Report whether all machines use Talos's discovery, which is on unless a patch disables it."""
    settings = [_last(patches.of(node), "cluster.discovery.enabled") for node in inventory.nodes]
    return not any(setting is not None and setting[2] is False for setting in settings)


def _named(inventory: Inventory) -> Iterator[tuple[str, list[str]]]:
    yield "patches", inventory.data.get("patches", [])
    for group in ("controlPlane", "worker"):
        yield f"{group}.patches", inventory.data.get(group, {}).get("patches", [])
    for index, node in enumerate(inventory.data["nodes"]):
        yield f"nodes[{index}].patches", node.get("patches", [])


def _read(
    root: Path, inventory: Inventory, field: str, text: str, findings: Findings
) -> Patch | None:
    path = inventory.path
    if text.startswith("@"):
        path = document.resolve(inventory.path, text.removeprefix("@"))
        if not (root / path).is_file():
            findings.missing_file(
                inventory.path,
                field=field,
                value=text,
                message=f"the patch {path} does not exist",
                fix="create the file, or correct the path (relative to talconfig.yaml)",
            )
            return None
        content = document.read_text(root, path, findings)
        if content is None:
            return None
        text = content
    documents = document.parse_documents(path, document.without_templates(text), findings)
    for part in documents:
        if not isinstance(part.data, dict):
            findings.add(
                path,
                field if path == inventory.path else "",
                part.data,
                rule="json-patch",
                message="the patch is not a mapping, and a JSON patch does not work on a machine "
                "config of several documents",
                fix="write a strategic merge patch, in the form of the machine config itself",
            )
            return None
    return Patch(path, field, text, documents)


def _check_cni(inventory: Inventory, patches: tuple[Patch, ...], findings: Findings) -> None:
    path, field, value = _last(patches, "cluster.network.cni.name") or (
        inventory.path,
        "cniConfig.name",
        inventory.data.get("cniConfig", {}).get("name"),
    )
    if value != "none":
        findings.add(
            path,
            field,
            value,
            rule="cni-not-none",
            message="Talos would install its own CNI, but this cluster uses Cilium",
            fix="write `cniConfig: {name: none}` in talconfig.yaml",
        )


def _still_on(
    inventory: Inventory, patches: tuple[Patch, ...], name: str
) -> tuple[Path, str, Any] | None:
    """Return where a component of Talos is left on, or `None` if a patch disables it."""
    path, field, value = _last(patches, name) or (inventory.path, "controlPlane.patches", None)
    return None if value is True else (path, field, value)


def _check_subnets(
    inventory: Inventory, patches: tuple[Patch, ...], name: str, network: str, findings: Findings
) -> None:
    path, field, value = _last(patches, name) or (inventory.path, "", None)
    if value is not None and value != [network]:
        findings.add(
            path,
            field,
            ", ".join(map(str, value)) if isinstance(value, list) else value,
            rule="subnet-not-node-network",
            message=f"this is not the node network {network}, so Talos would choose no address "
            "or a wrong one",
            fix=f"write [{network}]",
        )


def _last(patches: tuple[Patch, ...], name: str) -> tuple[Path, str, Any] | None:
    """Return path, field and value of the last patch that sets a field: the last one wins."""
    found = None
    for patch in patches:
        for part in patch.documents:
            value = document.value_at(part.data, *name.split("."))
            if value is not None:
                found = (patch.path, name, value)
    return found
