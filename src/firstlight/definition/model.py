"""The model of a definition as frozen data: a cluster, its nodes, its releases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

INVENTORY = "talconfig.yaml"
"""The file in clusters/<name>/talos/ that lists nodes, addresses and versions."""

TALOS_SECRETS = "talsecret.sops.yaml"
"""The encrypted file next to the inventory that holds Talos's secrets."""

SECRETS_TEMPLATE = "secrets.yaml.tpl"
"""The file in bootstrap/<name>/ that creates Flux's Secrets from `op://` references."""

GENERATED_FOLDER = "clusterconfig"
"""The folder next to the inventory for generated configs: private, and ignored by Git."""


class Role(StrEnum):
    """The role of a machine, as Talos names it."""

    CONTROL_PLANE = "controlplane"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster.

    Attributes:
        hostname: Its name in Talos and in Kubernetes.
        address: Its address on the node network.
        role: Control plane or worker.
        link: The link that has the address (`bond0`).
        mtu: The MTU of the link in bytes, 0 if the definition does not set it.
        bond_mode: `802.3ad` for LACP; empty if the link is not a bond.
    """

    hostname: str
    address: IPv4Address
    role: Role
    link: str
    mtu: int
    bond_mode: str


@dataclass(frozen=True, slots=True)
class ChartSource:
    """The source of a chart, from the Flux source object.

    Attributes:
        kind: `OCIRepository` or `HelmRepository`.
        name: The source object's name.
        namespace: The source object's namespace.
        url: `oci://...` or `https://...`.
        plain_http: Whether the registry is reached without TLS (`spec.insecure`).
    """

    kind: str
    name: str
    namespace: str
    url: str
    plain_http: bool


@dataclass(frozen=True, slots=True)
class Release:
    """A Helm release, as helmfile installs it and its HelmRelease defines it.

    Attributes:
        name: The release's name, the same in helmfile and in Flux.
        namespace: The release's namespace, the same in both.
        chart: The chart's name without its repository (`cilium`).
        version: The chart's version, exactly as written.
        source: Where the chart comes from.
        values: The HelmRelease's `spec.values`.
        path: The file of the HelmRelease, relative to the root.
    """

    name: str
    namespace: str
    chart: str
    version: str
    source: ChartSource
    values: Mapping[str, Any]
    path: Path


@dataclass(frozen=True, slots=True)
class FluxSync:
    """What Flux reconciles, from `bootstrap/<name>/resources/`.

    Attributes:
        url: The Git remote, `ssh://git@...`.
        branch: The branch that Flux follows.
        path: The path in the repository (`./clusters/infra/flux`).
        repository: The GitRepository's name.
        kustomization: The Kustomization's name.
        secret: The name of the Secret with the deploy key.
        namespace: The namespace of all of these.
        decryption_secret: The name of the Secret with the AGE key.
    """

    url: str
    branch: str
    path: str
    repository: str
    kustomization: str
    secret: str
    namespace: str
    decryption_secret: str


@dataclass(frozen=True, slots=True)
class SecretReference:
    """One `op://vault/item/field` reference, and the file and line that contain it."""

    reference: str
    path: Path
    line: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """The definition of one cluster: the source of every address, name and version.

    Attributes:
        name: The cluster's name (`infra`).
        id: Cilium's cluster.id.
        root: The folder that holds `clusters/` and `bootstrap/`.
        endpoint: The URL of the Kubernetes API (`https://10.25.11.10:6443`).
        vip: The control plane's shared address.
        node_network: The network that holds the nodes' addresses.
        talos_version: With the leading v (`v1.12.0`).
        kubernetes_version: With the leading v (`v1.35.0`).
        pod_networks: CIDRs of the pods.
        service_networks: CIDRs of the services.
        nodes: Control plane nodes first, each group in the order of the file.
        releases: In the order of installation: Cilium first, Flux last.
        crd_releases: Names of the releases of `00-crds.yaml`.
        sync: What Flux reconciles.
        age_recipient: The public key that secrets are encrypted to (`age1...`).
        references: Every `op://` reference in `secrets.yaml.tpl`.
        discovery: Whether the machines use Talos's discovery to find each other.
    """

    name: str
    id: int
    root: Path
    endpoint: str
    vip: IPv4Address
    node_network: IPv4Network
    talos_version: str
    kubernetes_version: str
    pod_networks: tuple[IPv4Network, ...]
    service_networks: tuple[IPv4Network, ...]
    nodes: tuple[Node, ...]
    releases: tuple[Release, ...]
    crd_releases: tuple[str, ...]
    sync: FluxSync
    age_recipient: str
    references: tuple[SecretReference, ...]
    discovery: bool

    @property
    def control_plane(self) -> tuple[Node, ...]:
        """The control plane nodes, in the order of the file."""
        return tuple(node for node in self.nodes if node.role is Role.CONTROL_PLANE)

    @property
    def workers(self) -> tuple[Node, ...]:
        """The workers, in the order of the file."""
        return tuple(node for node in self.nodes if node.role is Role.WORKER)

    @property
    def early_nodes(self) -> tuple[Node, ...]:
        """The nodes whose Talos API answers before etcd is bootstrapped.

        A worker gets the certificate of its API from a control plane node, which it finds through
        discovery. Without discovery it asks the cluster endpoint: the VIP, which answers only once
        etcd has a quorum.
        """
        return self.nodes if self.discovery else self.control_plane

    @property
    def first_control_plane(self) -> Node:
        """The only node that ever receives `talosctl bootstrap`."""
        return self.control_plane[0]

    @property
    def control_plane_names(self) -> frozenset[str]:
        """The names of the control plane nodes."""
        return frozenset(node.hostname for node in self.control_plane)

    @property
    def node_names(self) -> frozenset[str]:
        """The names of all nodes."""
        return frozenset(node.hostname for node in self.nodes)

    @property
    def context(self) -> str:
        """The kubectl context, as Talos names it."""
        return f"admin@{self.name}"

    @property
    def talos_dir(self) -> Path:
        """The folder of the inventory and its patches."""
        return self.root / "clusters" / self.name / "talos"

    @property
    def talconfig(self) -> Path:
        """The inventory."""
        return self.talos_dir / INVENTORY

    @property
    def talsecret(self) -> Path:
        """Talos's encrypted secrets."""
        return self.talos_dir / TALOS_SECRETS

    @property
    def talosconfig(self) -> Path:
        """The generated talosconfig."""
        return self.talos_dir / GENERATED_FOLDER / "talosconfig"

    @property
    def flux_dir(self) -> Path:
        """The folder that Flux applies."""
        return self.root / "clusters" / self.name / "flux"

    @property
    def bootstrap_dir(self) -> Path:
        """The folder that only the bootstrap uses."""
        return self.root / "bootstrap" / self.name

    @property
    def secrets_template(self) -> Path:
        """The template of the Secrets that Flux needs."""
        return self.bootstrap_dir / SECRETS_TEMPLATE

    def machine_config(self, node: Node) -> Path:
        """Return the path of a node's generated machine config."""
        return self.talos_dir / GENERATED_FOLDER / f"{self.name}-{node.hostname}.yaml"

    def release(self, name: str) -> Release:
        """Return the release with this name.

        Raises:
            KeyError: The definition has no such release.
        """
        for release in self.releases:
            if release.name == name:
                return release
        raise KeyError(name)
