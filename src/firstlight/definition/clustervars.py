"""Rules for cluster-vars.yaml: facts that applications get from Flux must be those of the inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firstlight.definition.findings import Findings
    from firstlight.definition.fluxtree import FluxTree
    from firstlight.definition.network import Network
    from firstlight.definition.talconfig import Inventory

NAME = "cluster-vars"


def check_cluster_vars(
    name: str,
    tree: FluxTree,
    inventory: Inventory,
    network: Network | None,
    cluster_id: int,
    findings: Findings,
) -> None:
    """Note a fact of the ConfigMap that contradicts the inventory; facts of other names are the applications' own."""
    facts = _facts(name, inventory, network, cluster_id)
    for found in tree.of_kind("ConfigMap"):
        if found.mapping["metadata"]["name"] != NAME:
            continue
        data = found.mapping.get("data")
        said = data if isinstance(data, dict) else {}
        for key, wanted in facts.items():
            if key in said and said[key] != wanted:
                findings.add(
                    found.path,
                    f"data.{key}",
                    said[key],
                    rule="cluster-var-differs",
                    message=f"the inventory says otherwise ({inventory.path})",
                    fix=f'write `{key}: "{wanted}"`',
                )


def _facts(
    name: str, inventory: Inventory, network: Network | None, cluster_id: int
) -> dict[str, str]:
    facts = {"CLUSTER_NAME": name}
    if cluster_id:
        facts["CLUSTER_ID"] = str(cluster_id)
    if inventory.data.get("domain"):
        facts["CLUSTER_DOMAIN"] = inventory.data["domain"]
    if network is not None:
        facts["CLUSTER_ENDPOINT"] = str(network.vip)
        facts["NODE_CIDR"] = str(network.nodes)
    if len(inventory.pod_networks) == 1:
        facts["POD_CIDR"] = str(inventory.pod_networks[0])
    if len(inventory.service_networks) == 1:
        facts["SERVICE_CIDR"] = str(inventory.service_networks[0])
    return facts
