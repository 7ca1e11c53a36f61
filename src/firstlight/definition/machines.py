"""Check the machines of one cluster: how many of each role, their disks, links and MTU."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from firstlight.definition.findings import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.definition.findings import Findings
    from firstlight.definition.talconfig import Inventory, InventoryNode

# The minimum that IPv6 requires, and the maximum that common switches and network cards carry.
MTU_MIN = 1280
MTU_MAX = 9216
_BOND_MODES = [
    "balance-rr",
    "active-backup",
    "balance-xor",
    "broadcast",
    "802.3ad",
    "balance-tlb",
    "balance-alb",
]


def check_machines(inventory: Inventory, findings: Findings) -> None:
    """Add every problem of the machines."""
    _check_control_plane(inventory, findings)
    for node in inventory.nodes:
        _check_disk(inventory, node, findings)
        for index, interface in enumerate(node.data.get("networkInterfaces", [])):
            field = f"{node.field}.networkInterfaces[{index}]"
            _check_interface(inventory, field, interface, findings)
    _check_mtu(inventory, findings)


def _check_control_plane(inventory: Inventory, findings: Findings) -> None:
    # Counted in the file, so that a node with a bad address still counts.
    count = sum(1 for node in inventory.data["nodes"] if node["controlPlane"])
    if count == 0:
        findings.add(
            inventory.path,
            "nodes",
            None,
            rule="no-control-plane",
            message="the cluster has no control plane node",
            fix="set `controlPlane: true` on three nodes",
        )
    elif count % 2 == 0:
        findings.add(
            inventory.path,
            "nodes",
            f"{count} control plane nodes",
            rule="even-control-plane",
            message="the number of control plane nodes is even, so etcd tolerates no more "
            "failures than with one node fewer",
            fix=f"use {count - 1} or {count + 1}",
        )


def _check_disk(inventory: Inventory, node: InventoryNode, findings: Findings) -> None:
    if "installDisk" not in node.data and "installDiskSelector" not in node.data:
        findings.add(
            inventory.path,
            f"{node.field}.installDisk",
            None,
            rule="no-install-disk",
            message=f"{node.node.hostname} has no disk to install Talos on",
            fix="add `installDisk: /dev/...` or an `installDiskSelector`",
        )


def _check_interface(
    inventory: Inventory, field: str, interface: Mapping[str, Any], findings: Findings
) -> None:
    if "interface" not in interface and "deviceSelector" not in interface:
        findings.add(
            inventory.path,
            f"{field}.interface",
            None,
            rule="link-without-name",
            message="the link has neither a name nor a selector",
            fix="add `interface: bond0`",
        )
    if "bond" in interface:
        _check_bond(inventory, f"{field}.bond", interface["bond"], findings)


def _check_bond(
    inventory: Inventory, field: str, bond: Mapping[str, Any], findings: Findings
) -> None:
    links = [*bond.get("interfaces", []), *bond.get("deviceSelectors", [])]
    if not links:
        findings.add(
            inventory.path,
            f"{field}.interfaces",
            None,
            rule="bond-without-links",
            message="the bond has no links",
            fix="list its links in `interfaces` (or `deviceSelectors`)",
        )
    for link, count in Counter(str(link) for link in links).items():
        if count > 1:
            findings.add(
                inventory.path,
                f"{field}.interfaces",
                link,
                rule="bond-link-twice",
                message="the bond lists the same link twice",
                fix="list each link once",
            )
    if bond["mode"] not in _BOND_MODES:
        near = did_you_mean(bond["mode"], _BOND_MODES)
        findings.add(
            inventory.path,
            f"{field}.mode",
            bond["mode"],
            rule="bad-bond-mode",
            message="Talos does not know this bond mode",
            fix=f"did you mean {near}?" if near else f"use one of {', '.join(_BOND_MODES)}",
        )
    if bond["mode"] == "802.3ad" and not bond.get("miimon"):
        findings.add(
            inventory.path,
            f"{field}.miimon",
            bond.get("miimon"),
            rule="bond-unmonitored",
            message="the LACP bond does not monitor its links, so it never notices a dead one",
            fix="add `miimon: 100`, `updelay: 200` and `downdelay: 200`",
        )


def _check_mtu(inventory: Inventory, findings: Findings) -> None:
    common = Counter(node.node.mtu for node in inventory.nodes).most_common(1)
    for node in inventory.nodes:
        field, mtu = f"{node.link_field}.mtu", node.node.mtu
        if mtu and not MTU_MIN <= mtu <= MTU_MAX:
            findings.add(
                inventory.path,
                field,
                mtu,
                rule="mtu-out-of-range",
                message=f"the MTU is not between {MTU_MIN} and {MTU_MAX}",
                fix="write 9000 for jumbo frames, otherwise 1500",
            )
        elif mtu != common[0][0]:
            findings.add(
                inventory.path,
                field,
                mtu or None,
                rule="mtu-differs",
                message=f"the MTU of {node.node.hostname} differs from that of most nodes "
                f"({common[0][0] or 'not set'}), so packets between them would be lost",
                fix=f"write `mtu: {common[0][0]}`" if common[0][0] else "remove it",
            )
