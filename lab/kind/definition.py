"""Adapt the definition's copy and kind's kubeconfig to kind's nodes: their names and addresses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import yaml

from firstlight.definition.model import Cluster, Role
from firstlight.errors import TargetError
from firstlight.files import write_atomically
from lab.docker.definition import dump, renumber
from lab.docker.network import gateway_of
from lab.kind.cluster import Found, Node
from lab.kind.config import SUBNET_VARIABLE
from lab.simulated.addresses import Endpoints
from lab.simulated.checkout import Source
from lab.simulated.paths import LabPaths

PRIVATE = 0o600


def for_kind(source: Source, cluster: Cluster, subnet: IPv4Network, found: Found) -> Source:
    """Return the definition of one cluster as kind created it; other clusters stay as they are.

    Raises:
        TargetError: The definition's network and the subnet differ in size.
    """
    nodes = _matched(cluster, found)
    moved = {address: node.address for address, node in nodes.items()}
    moved[cluster.vip] = found.endpoint
    files = renumber(source, cluster.name, subnet, SUBNET_VARIABLE, moved)
    inventory_file = Path("clusters") / cluster.name / "talos" / "talconfig.yaml"
    inventory = yaml.safe_load(files[inventory_file])
    names = {str(node.address): node.hostname for node in nodes.values()}
    for entry in inventory["nodes"]:
        entry["hostname"] = names[entry["ipAddress"]]
    files[inventory_file] = dump([inventory])
    services = {cluster.name: Endpoints(gateway_of(subnet), serves_charts=False)}
    return Source(dict(sorted(files.items())), {}, services, source.revision)


def _matched(cluster: Cluster, found: Found) -> dict[IPv4Address, Node]:
    """Return kind's node for each address of the definition, role by role in its order."""
    left = {True: list(found.control_planes), False: list(found.workers)}
    return {node.address: left[node.role is Role.CONTROL_PLANE].pop(0) for node in cluster.nodes}


def renamed(text: str, cluster: Cluster) -> str:
    """Return kind's kubeconfig with the names and the server of the definition.

    Raises:
        TargetError: It is not what kind writes: one cluster and one user.
    """
    try:
        content = yaml.safe_load(text)
        (found,), (user,) = content["clusters"], content["users"]
        found["cluster"]["server"] = cluster.endpoint
        found["name"], user["name"] = cluster.name, cluster.context
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise TargetError(
            f"cannot read the kubeconfig that kind made: {type(error).__name__}",
            next_step=f"./task kind:down CLUSTER={cluster.name}, then try again",
        ) from error
    context = {
        "name": cluster.context,
        "context": {"cluster": cluster.name, "user": cluster.context},
    }
    return yaml.safe_dump(
        {**content, "contexts": [context], "current-context": cluster.context}, sort_keys=False
    )


def export(paths: LabPaths, text: str) -> bool:
    """Write the kubeconfig to its place, private; report whether it changed."""
    file = paths.kubeconfig
    if (
        file.exists()
        and file.read_text(encoding="utf-8") == text
        and file.stat().st_mode & 0o777 == PRIVATE
    ):
        return False
    write_atomically(file, text, mode=PRIVATE)
    return True
