"""A definition of 300 machines, derived from infra: three control plane nodes and 297 workers."""

from __future__ import annotations

import shutil
from ipaddress import IPv4Address
from pathlib import Path

import yaml

from tests.definitions import CHECKOUT

NODES = 300
NETWORK, WIDER = "10.25.11.0/24", "10.25.8.0/22"
FIRST_WORKER = IPv4Address("10.25.8.10")


def lay_out(root: Path, nodes: int = NODES) -> Path:
    """Write a definition with this many machines to a folder, and return the folder."""
    for name in ("clusters", "bootstrap"):
        shutil.copytree(
            CHECKOUT / name, root / name, ignore=shutil.ignore_patterns("clusterconfig")
        )
    shutil.copy(CHECKOUT / ".sops.yaml", root)
    for path in (root / "clusters" / "infra").rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        if NETWORK in text:
            path.write_text(text.replace(NETWORK, WIDER), encoding="utf-8")
    inventory = root / "clusters" / "infra" / "talos" / "talconfig.yaml"
    data = yaml.safe_load(inventory.read_text(encoding="utf-8"))
    control_plane = [node for node in data["nodes"] if node["controlPlane"]]
    workers = [
        _worker(data["nodes"][-1], number) for number in range(1, nodes - len(control_plane) + 1)
    ]
    data["nodes"] = [_widened(node, node["ipAddress"]) for node in control_plane] + workers
    inventory.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return root


def _worker(like: dict[str, object], number: int) -> dict[str, object]:
    address = str(FIRST_WORKER + number)
    return {**_widened(like, address), "hostname": f"infra-worker-{number}", "ipAddress": address}


def _widened(node: dict[str, object], address: str) -> dict[str, object]:
    interfaces = node["networkInterfaces"]
    assert isinstance(interfaces, list)
    return {
        **node,
        "networkInterfaces": [
            {**interface, "addresses": [f"{address}/22"]} for interface in interfaces
        ],
    }
