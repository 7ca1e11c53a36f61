"""Rules for the values of Cilium and CoreDNS that must agree with the inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.definition.document import Document
    from firstlight.definition.findings import Findings
    from firstlight.definition.model import Release
    from firstlight.definition.network import Network
    from firstlight.definition.talconfig import Inventory

CLUSTER_ID_MIN = 1
CLUSTER_ID_MAX = 255
"""Cilium's own range for members of a Cluster Mesh; 0 means that the cluster can never join one."""
_DNS_HOST = 10
"""Talos gives every kubelet the tenth address of the service network as its name server."""


def check_cilium(
    name: str, release: Release, inventory: Inventory, network: Network | None, findings: Findings
) -> int:
    """Return Cilium's cluster.id, 0 where there is none; what contradicts the inventory is noted."""
    cluster_id = _cluster_id(release, findings)
    _expect(
        release,
        "cluster.name",
        name,
        findings,
        rule="cilium-name-differs",
        message=f"the cluster is called {name}",
    )
    _expect(
        release,
        "kubeProxyReplacement",
        True,
        findings,
        rule="kube-proxy-not-replaced",
        message="Talos runs no kube-proxy, so Cilium has to replace it, or no service answers",
    )
    _expect(
        release,
        "routingMode",
        "native",
        findings,
        rule="cilium-routing",
        message="the node network routes pods natively",
    )
    if network is not None:
        _check_addresses(release, inventory, network, findings)
    return cluster_id


def check_strategies(found: Document, findings: Findings) -> None:
    """Note where Flux would uninstall the CNI after a failure, which is its default."""
    spec = found.mapping.get("spec")
    for phase in ("install", "upgrade"):
        name = _value(spec if isinstance(spec, dict) else {}, f"{phase}.strategy.name")
        if name != "RetryOnFailure":
            findings.add(
                found.path,
                f"spec.{phase}.strategy.name",
                name,
                rule="cni-uninstalled-on-failure",
                message="after a failure Flux would uninstall the CNI, and the whole cluster would lose its network",
                fix=f"add `{phase}: {{strategy: {{name: RetryOnFailure}}}}`",
            )


def check_coredns(release: Release, inventory: Inventory, findings: Findings) -> None:
    """Note a cluster DNS address that kubelets do not ask."""
    if inventory.service_networks:
        _expect(
            release,
            "service.clusterIP",
            str(inventory.service_networks[0].network_address + _DNS_HOST),
            findings,
            rule="dns-address-differs",
            message=f"kubelets ask the tenth address of the service network {inventory.service_networks[0]}",
        )


def _check_addresses(
    release: Release, inventory: Inventory, network: Network, findings: Findings
) -> None:
    _expect(
        release,
        "k8sServiceHost",
        str(network.vip),
        findings,
        rule="cilium-api-host-differs",
        message="without kube-proxy the agents reach the API server through the VIP",
    )
    _expect(
        release,
        "ipv4NativeRoutingCIDR",
        str(network.nodes),
        findings,
        rule="cilium-routing",
        message=f"the node network is {network.nodes}",
    )
    mtu = max((node.node.mtu for node in inventory.nodes), default=0)
    if mtu and _value(release.values, "MTU") is not None:
        _expect(
            release,
            "MTU",
            mtu,
            findings,
            rule="cilium-mtu-differs",
            message=f"the nodes' links have {mtu} in {inventory.path}",
        )


def _cluster_id(release: Release, findings: Findings) -> int:
    seen = _value(release.values, "cluster.id")
    if (
        isinstance(seen, int)
        and not isinstance(seen, bool)
        and CLUSTER_ID_MIN <= seen <= CLUSTER_ID_MAX
    ):
        return seen
    findings.add(
        release.path,
        "spec.values.cluster.id",
        seen,
        rule="bad-cluster-id",
        message=f"Cilium's cluster.id must be a whole number from {CLUSTER_ID_MIN} to {CLUSTER_ID_MAX}",
        fix="write one that no other cluster has (infra is 1, apps is 2)",
    )
    return 0


def _expect(
    release: Release, name: str, wanted: object, findings: Findings, *, rule: str, message: str
) -> None:
    seen = _value(release.values, name)
    # `True == 1` for Python: compare the types as well, because Helm tells them apart.
    if seen != wanted or type(seen) is not type(wanted):
        written = str(wanted).lower() if isinstance(wanted, bool) else wanted
        findings.add(
            release.path,
            f"spec.values.{name}",
            seen,
            rule=rule,
            message=message,
            fix=f"write `{name.rsplit('.', 1)[-1]}: {written}`",
        )


def _value(values: Mapping[str, Any], name: str) -> Any:
    value: Any = values
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
