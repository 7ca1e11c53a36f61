"""Check chart values, and cluster-vars, that must agree with the inventory or with Talos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.definition.document import leaves, list_at, mapping_at, value_at
from firstlight.definition.findings import did_you_mean
from firstlight.definition.object_schemas import OBJECTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from firstlight.definition.document import Document
    from firstlight.definition.findings import Findings
    from firstlight.definition.flux import FluxTree
    from firstlight.definition.model import Release
    from firstlight.definition.network import Network
    from firstlight.definition.talconfig import Inventory

CLUSTER_ID_MIN = 1
CLUSTER_ID_MAX = 255
"""Cilium's range for members of a Cluster Mesh; a cluster with id 0 can never join one."""

CLUSTER_VARS = "cluster-vars"
"""The ConfigMap whose facts Flux substitutes into applications."""

REGISTRY_PATH = "/etc/cri/conf.d/hosts"
"""Where Talos configures containerd's registries."""

SPEGEL_BROKEN = "0.5.0"
"""It crashes on every image whose name has no registry (spegel#1077)."""

CGROUP_ROOT = "/sys/fs/cgroup"
"""Where Talos mounts cgroup2."""

_IPAM_MODES = (
    "alibabacloud",
    "azure",
    "cluster-pool",
    "crd",
    "delegated-plugin",
    "eni",
    "kubernetes",
    "multi-pool",
)
_SYS_MODULE = "SYS_MODULE"
_CAPABILITIES = "securityContext.capabilities"

KEEP = ("helm.sh/resource-policy", "keep")

_DNS_HOST = 10
"""Talos gives every kubelet the tenth address of the service network as its DNS server."""


def check_fit(tree: FluxTree, known: Mapping[str, Release | None], findings: Findings) -> None:
    """Check what the charts need on Talos, whatever the inventory says.

    Args:
        tree: The objects that Flux applies.
        known: The HelmReleases by name.
        findings: Receives the problems.
    """
    if (cilium := known.get("cilium")) is not None:
        _check_strategies(tree.objects["HelmRelease", cilium.namespace, cilium.name], findings)
        _check_dns_answers(cilium, findings)
        _check_capabilities(cilium, findings)
        _check_cgroup(cilium, findings)
        _check_ipam(cilium, findings)
    if (spegel := known.get("spegel")) is not None:
        _check_spegel(spegel, findings)
    if (flux := known.get("flux")) is not None:
        _check_crds_kept(flux, findings)


def check_agreement(
    name: str,
    tree: FluxTree,
    known: Mapping[str, Release | None],
    inventory: Inventory,
    network: Network | None,
    findings: Findings,
) -> int:
    """Check what must agree with the inventory, and return Cilium's cluster.id, 0 if not valid.

    Args:
        name: The cluster's name.
        tree: The objects that Flux applies.
        known: The HelmReleases by name.
        inventory: The nodes and networks.
        network: The node network and the VIP, if known.
        findings: Receives the problems.
    """
    cluster_id = 0
    if (coredns := known.get("coredns")) is not None:
        _check_coredns(coredns, inventory, findings)
    if (cilium := known.get("cilium")) is not None:
        cluster_id = _cluster_id(cilium, findings)
        _check_cilium(name, cilium, inventory, network, findings)
    facts = _facts(name, inventory, network, cluster_id)
    _check_cluster_vars(tree, facts, inventory.path, findings)
    return cluster_id


def _check_strategies(found: Document, findings: Findings) -> None:
    for phase in ("install", "upgrade"):
        name = value_at(found.mapping, "spec", phase, "strategy", "name")
        if name != "RetryOnFailure":
            findings.add(
                found.path,
                f"spec.{phase}.strategy.name",
                name,
                rule="cni-uninstalled-on-failure",
                message="after a failure, Flux would uninstall the CNI by default, and the whole "
                "cluster would lose its network",
                fix=f"add `{phase}: {{strategy: {{name: RetryOnFailure}}}}`",
            )


def _check_dns_answers(release: Release, findings: Findings) -> None:
    bpf = mapping_at(release.values, "bpf")
    if bpf.get("masquerade") is True and bpf.get("hostLegacyRouting") is not True:
        findings.add(
            release.path,
            "spec.values.bpf.hostLegacyRouting",
            bpf.get("hostLegacyRouting"),
            rule="dns-answers-lost",
            message="eBPF masquerading loses the answers of Talos's hostDNS, so CoreDNS cannot "
            "resolve names outside the cluster",
            fix="write `hostLegacyRouting: true` next to `masquerade`",
        )


def _check_capabilities(release: Release, findings: Findings) -> None:
    for name, value in leaves(release.values, "spec.values"):
        if value == _SYS_MODULE:
            findings.add(
                release.path,
                name,
                value,
                rule="cilium-capabilities",
                message="Talos grants this capability to no pod, so Cilium would not start",
                fix="remove it from the list",
            )
    if value_at(release.values, "securityContext", "privileged") is True:
        return
    for container in ("ciliumAgent", "cleanCiliumState"):
        if not list_at(release.values, *_CAPABILITIES.split("."), container):
            findings.add(
                release.path,
                f"spec.values.{_CAPABILITIES}.{container}",
                None,
                rule="cilium-capabilities",
                message=f"the chart's default list has {_SYS_MODULE}, which Talos grants to no "
                "pod, so Cilium would not start",
                fix=f"write the chart's list without {_SYS_MODULE}",
            )


def _check_cgroup(release: Release, findings: Findings) -> None:
    # A Talos machine in a container mounts no cgroup2, so there Cilium mounts its own elsewhere.
    mounts = value_at(release.values, "cgroup", "autoMount", "enabled")
    root = value_at(release.values, "cgroup", "hostRoot")
    if mounts is True and root not in (None, CGROUP_ROOT):
        return
    for name, wanted in (("autoMount.enabled", False), ("hostRoot", CGROUP_ROOT)):
        _expect(
            release,
            f"cgroup.{name}",
            wanted,
            findings,
            rule="cilium-cgroup",
            message=f"Talos mounts cgroup2 itself, at {CGROUP_ROOT}, and the chart's default is "
            "another mount",
        )


def _check_ipam(release: Release, findings: Findings) -> None:
    mode = value_at(release.values, "ipam", "mode")
    if mode is not None and mode not in _IPAM_MODES:
        near = did_you_mean(str(mode), _IPAM_MODES)
        findings.add(
            release.path,
            "spec.values.ipam.mode",
            mode,
            rule="cilium-ipam-mode",
            message="Cilium has no such mode, so its agents would not start",
            fix=f"did you mean {near}?" if near else f"use one of {', '.join(_IPAM_MODES)}",
        )


def _check_spegel(release: Release, findings: Findings) -> None:
    _expect(
        release,
        "spegel.containerdRegistryConfigPath",
        REGISTRY_PATH,
        findings,
        rule="registry-path-differs",
        message="Talos keeps containerd's registry configuration in another folder than the "
        "chart's default, so Spegel would not start",
    )
    if release.version.removeprefix("v") == SPEGEL_BROKEN:
        findings.add(
            release.path,
            "chart version",
            release.version,
            rule="chart-version-broken",
            message="this version crashes on images whose name has no registry",
            fix="use 0.4.0, or 0.5.1 or later",
        )


def _check_crds_kept(release: Release, findings: Findings) -> None:
    seen = value_at(release.values, "crds", "annotations", KEEP[0])
    if seen != KEEP[1]:
        findings.add(
            release.path,
            "spec.values.crds.annotations",
            seen,
            rule="crds-not-kept",
            message="uninstalling Flux would delete its CRDs, and with them every Kustomization, "
            "HelmRelease and workload",
            fix=f"add `{KEEP[0]}: {KEEP[1]}`",
        )


def _check_coredns(release: Release, inventory: Inventory, findings: Findings) -> None:
    if inventory.service_networks:
        services = inventory.service_networks[0]
        _expect(
            release,
            "service.clusterIP",
            str(services.network_address + _DNS_HOST),
            findings,
            rule="dns-address-differs",
            message=f"kubelets use the tenth address of the service network {services} for DNS",
        )


def _check_cilium(
    name: str, release: Release, inventory: Inventory, network: Network | None, findings: Findings
) -> None:
    _expect(
        release,
        "cluster.name",
        name,
        findings,
        rule="cilium-name-differs",
        message=f"the name of the cluster is {name}",
    )
    _expect(
        release,
        "kubeProxyReplacement",
        True,
        findings,
        rule="kube-proxy-not-replaced",
        message="Talos runs no kube-proxy, so no service is reachable unless Cilium replaces it",
    )
    routing = {"routingMode": ("native", "the node network routes pods natively")}
    if network is not None:
        nodes = str(network.nodes)
        routing["ipv4NativeRoutingCIDR"] = (nodes, f"the node network is {nodes}")
        _expect(
            release,
            "k8sServiceHost",
            str(network.vip),
            findings,
            rule="cilium-api-host-differs",
            message="without kube-proxy, the agents reach the API server through the VIP",
        )
    for field, (wanted, message) in routing.items():
        _expect(release, field, wanted, findings, rule="cilium-routing", message=message)
    mtu = max((node.node.mtu for node in inventory.nodes), default=0)
    if mtu and value_at(release.values, "MTU") is not None:
        _expect(
            release,
            "MTU",
            mtu,
            findings,
            rule="cilium-mtu-differs",
            message=f"the MTU of the nodes' links is {mtu} in {inventory.path}",
        )


def _check_cluster_vars(
    tree: FluxTree, facts: Mapping[str, str], inventory: Path, findings: Findings
) -> None:
    for found in tree.of_kind("ConfigMap"):
        if found.name != CLUSTER_VARS:
            continue
        written = mapping_at(found.mapping, "data")
        # An unknown key is reported by itself: it is `data`, mistyped.
        if not written and OBJECTS["ConfigMap"].fields.keys() >= found.mapping.keys():
            findings.missing_field(
                found.path,
                "data",
                message="the ConfigMap has no facts, so Flux would substitute nothing",
                fix=f"add `data:` with the facts, like `CLUSTER_NAME: {facts['CLUSTER_NAME']}`",
            )
        # Facts under other names belong to the applications.
        for key, wanted in facts.items():
            if key in written and written[key] != wanted:
                findings.add(
                    found.path,
                    f"data.{key}",
                    written[key],
                    rule="cluster-var-differs",
                    message=f"the value contradicts the inventory ({inventory})",
                    fix=f'write `{key}: "{wanted}"`',
                )


def _facts(
    name: str, inventory: Inventory, network: Network | None, cluster_id: int
) -> Mapping[str, str]:
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


def _cluster_id(release: Release, findings: Findings) -> int:
    seen = value_at(release.values, "cluster", "id")
    # In Python a bool is an int; in YAML it is not.
    if type(seen) is int and CLUSTER_ID_MIN <= seen <= CLUSTER_ID_MAX:
        return seen
    findings.add(
        release.path,
        "spec.values.cluster.id",
        seen,
        rule="bad-cluster-id",
        message="Cilium's cluster.id must be a whole number from "
        f"{CLUSTER_ID_MIN} to {CLUSTER_ID_MAX}",
        fix="write an id that no other cluster has (infra is 1, apps is 2)",
    )
    return 0


def _expect(
    release: Release, name: str, wanted: object, findings: Findings, *, rule: str, message: str
) -> None:
    seen = value_at(release.values, *name.split("."))
    # In Python `True == 1`; Helm distinguishes them, so the types must match too.
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
