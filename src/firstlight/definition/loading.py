"""Load a whole definition: run every reader and every rule, and report all problems at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.definition import (
    chart_values,
    document,
    flux,
    helmfile,
    helmreleases,
    machines,
    patches,
    secrets,
    sops,
)
from firstlight.definition.cross_cluster import Claim, check_cross_cluster
from firstlight.definition.findings import Findings, did_you_mean
from firstlight.definition.model import INVENTORY, SECRETS_TEMPLATE, TALOS_SECRETS, Cluster
from firstlight.definition.network import Network, check_network
from firstlight.definition.talconfig import read_inventory

if TYPE_CHECKING:
    from firstlight.definition.model import FluxSync, Release, SecretReference
    from firstlight.definition.sops import SopsConfig
    from firstlight.definition.talconfig import Inventory


def load(root: Path, name: str) -> Cluster:
    """Return the definition of one cluster.

    Raises:
        DefinitionError: The definition is wrong; the error holds every problem.
    """
    findings = Findings()
    cluster: Cluster | None = None
    if _is_known(root, name, findings):
        config = sops.read_sops_config(root, findings)
        secrets.check_secrets(root, config, findings)
        cluster = _Parts.read(root, name, config, findings).cluster(root, name)
    findings.raise_if_any(name)
    # A part is missing only if a problem was added, and problems were raised above.
    assert cluster is not None  # noqa: S101
    return cluster


def load_all(root: Path) -> tuple[Cluster, ...]:
    """Return the definitions of all clusters, sorted by name.

    Raises:
        DefinitionError: A definition is wrong, or two of them conflict.
    """
    findings = Findings()
    config = sops.read_sops_config(root, findings)
    secrets.check_secrets(root, config, findings)
    names = cluster_names(root)
    if not names:
        findings.add(
            Path("clusters"),
            "",
            None,
            rule="no-cluster",
            message="no cluster is defined",
            fix=f"create clusters/<name>/talos/{INVENTORY}",
        )
    parts = {name: _Parts.read(root, name, config, findings) for name in names}
    claims = [part.claim for part in parts.values() if part.claim is not None]
    check_cross_cluster(claims, findings)
    findings.raise_if_any("all clusters")
    clusters = [part.cluster(root, name) for name, part in parts.items()]
    return tuple(cluster for cluster in clusters if cluster is not None)


def cluster_names(root: Path) -> tuple[str, ...]:
    """Return the names of the defined clusters, sorted."""
    folders = [path for path in (root / "clusters").glob("*") if path.is_dir()]
    return tuple(sorted(path.name for path in folders if not path.name.startswith(".")))


def _is_known(root: Path, name: str, findings: Findings) -> bool:
    names = cluster_names(root)
    if name in names:
        return True
    near = did_you_mean(name, names)
    findings.add(
        Path("clusters"),
        "",
        name,
        rule="unknown-cluster",
        message=f"unknown cluster; the clusters are {', '.join(names) or 'none'}",
        fix=f"did you mean {near}?"
        if near
        else "use one of them, or create clusters/<name>/ and bootstrap/<name>/",
    )
    return False


@dataclass(frozen=True, slots=True)
class _Parts:
    """What could be read of one cluster; a part with a problem may be missing."""

    inventory: Inventory | None
    network: Network | None
    releases: tuple[Release, ...]
    crd_releases: tuple[str, ...]
    cluster_id: int
    cilium_path: Path
    sync: FluxSync | None
    age_recipient: str
    references: tuple[SecretReference, ...]
    discovery: bool

    @classmethod
    def read(cls, root: Path, name: str, config: SopsConfig, findings: Findings) -> _Parts:
        """Read every part and add every problem."""
        clusters, bootstrap = Path("clusters") / name, Path("bootstrap") / name
        inventory = read_inventory(root, clusters / "talos" / INVENTORY, findings)
        network: Network | None = None
        discovery = False
        if inventory is not None:
            network, discovery = _check_inventory(root, name, inventory, findings)
        tree = flux.read_tree(root, clusters / "flux", findings)
        known = helmreleases.read_releases(tree, findings)
        chart_values.check_fit(tree, known, findings)
        phases = helmfile.read_helmfile(root, bootstrap, findings)
        cluster_id = 0
        if inventory is not None:
            cluster_id = chart_values.check_agreement(
                name, tree, known, inventory, network, findings
            )
        sync = flux.read_sync(root, bootstrap / "resources", name, findings)
        template = bootstrap / SECRETS_TEMPLATE
        if sync is not None:
            secrets.check_bootstrap_secrets(root, template, sync, findings)
        _check_file_names(root, clusters / "talos", bootstrap, findings)
        cilium = known.get("cilium")
        return cls(
            inventory=inventory,
            network=network,
            releases=helmreleases.match_releases(phases, known, findings, complete=tree.complete),
            crd_releases=tuple(release.name for release in phases.crds),
            cluster_id=cluster_id,
            cilium_path=cilium.path if cilium is not None else clusters / "flux",
            sync=sync,
            age_recipient=_age_recipient(root, clusters, config, findings),
            references=secrets.read_references(root, template, findings),
            discovery=discovery,
        )

    @property
    def claim(self) -> Claim | None:
        """What this cluster must have for itself, as far as it is known."""
        if self.inventory is None:
            return None
        return Claim(self.inventory, self.network, self.cluster_id, self.cilium_path)

    def cluster(self, root: Path, name: str) -> Cluster | None:
        """Return the cluster, or `None` if a part is missing."""
        if self.inventory is None or self.network is None or self.sync is None:
            return None
        workers = [
            node for node in self.inventory.nodes if node not in self.inventory.control_plane
        ]
        return Cluster(
            name=name,
            id=self.cluster_id,
            root=root,
            endpoint=self.inventory.endpoint,
            vip=self.network.vip,
            node_network=self.network.nodes,
            talos_version=self.inventory.talos_version,
            kubernetes_version=self.inventory.kubernetes_version,
            pod_networks=self.inventory.pod_networks,
            service_networks=self.inventory.service_networks,
            nodes=tuple(node.node for node in (*self.inventory.control_plane, *workers)),
            releases=self.releases,
            crd_releases=self.crd_releases,
            sync=self.sync,
            age_recipient=self.age_recipient,
            references=self.references,
            discovery=self.discovery,
        )


def _check_inventory(
    root: Path, name: str, inventory: Inventory, findings: Findings
) -> tuple[Network | None, bool]:
    """Check the inventory; return the node network, and whether the machines use discovery."""
    if inventory.name != name:
        findings.add(
            inventory.path,
            "clusterName",
            inventory.name,
            rule="cluster-name-differs",
            message=f"the folder is named {name}",
            fix=f"write `clusterName: {name}`, or rename the folders",
        )
    machines.check_machines(inventory, findings)
    network = check_network(inventory, findings)
    chosen = patches.read_patches(root, inventory, findings)
    if chosen.complete:
        nodes = str(network.nodes) if network else ""
        patches.check_patches(inventory, chosen, nodes, findings)
    return network, patches.uses_discovery(inventory, chosen)


def _check_file_names(root: Path, talos: Path, bootstrap: Path, findings: Findings) -> None:
    # The readers of the Flux folder and the resources check the names there.
    for folder in (talos, bootstrap / "helmfile.d", bootstrap / "templates"):
        for _ in document.yaml_files(root, folder, findings):
            pass


def _age_recipient(root: Path, clusters: Path, config: SopsConfig, findings: Findings) -> str:
    secret = clusters / "talos" / TALOS_SECRETS
    if not (root / secret).is_file():
        findings.missing_file(
            secret,
            fix="create it with `talosctl gen secrets`, and encrypt it with sops before you "
            "commit it",
        )
    rule = config.rule_for(secret)
    return rule.first_recipient if rule else ""
