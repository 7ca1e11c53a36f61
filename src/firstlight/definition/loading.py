"""Loading a whole definition: every reader and every rule, one after the other, and all that is wrong at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.definition import (
    cilium,
    clustervars,
    document,
    fluxtree,
    handoff,
    helmfile,
    helmreleases,
    machines,
    network,
    patches,
    secrets,
    sops,
    sync,
    talosfit,
    templates,
)
from firstlight.definition.clashes import Claim, check_clashes
from firstlight.definition.findings import Findings
from firstlight.definition.model import Cluster
from firstlight.definition.shape import did_you_mean
from firstlight.definition.talconfig import read_inventory

if TYPE_CHECKING:
    from firstlight.definition.fluxtree import FluxTree
    from firstlight.definition.model import FluxSync, Release, SecretReference
    from firstlight.definition.sops import SopsConfig
    from firstlight.definition.talconfig import Inventory


def load(root: Path, name: str) -> Cluster:
    """Return the definition of one cluster.

    Raises:
        DefinitionError: Something is wrong with it; the error holds everything that is.
    """
    findings = Findings()
    cluster: Cluster | None = None
    if _is_known(root, name, findings):
        config = sops.read_sops_config(root, findings)
        secrets.check_secrets(root, config, findings)
        cluster = _Parts.read(root, name, config, findings).cluster(root, name)
    findings.raise_if_any(name)
    # Reading gives parts of a definition only together with a problem, and problems were raised above.
    assert cluster is not None  # noqa: S101
    return cluster


def load_all(root: Path) -> tuple[Cluster, ...]:
    """Return the definitions of all clusters, in the order of their names.

    Raises:
        DefinitionError: Something is wrong with one of them, or they are not compatible with each other.
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
            fix="write clusters/<name>/talos/talconfig.yaml",
        )
    parts = {name: _Parts.read(root, name, config, findings) for name in names}
    check_clashes([part.claim for part in parts.values() if part.claim is not None], findings)
    findings.raise_if_any("all clusters")
    clusters = [part.cluster(root, name) for name, part in parts.items()]
    return tuple(cluster for cluster in clusters if cluster is not None)


def cluster_names(root: Path) -> tuple[str, ...]:
    """Return the names of the clusters that are defined, sorted."""
    folder = root / "clusters"
    return tuple(
        sorted(
            path.name
            for path in folder.glob("*")
            if path.is_dir() and not path.name.startswith(".")
        )
    )


def _is_known(root: Path, name: str, findings: Findings) -> bool:
    names = cluster_names(root)
    if name in names:
        return True
    near = did_you_mean(name, list(names))
    findings.add(
        Path("clusters"),
        "",
        name,
        rule="unknown-cluster",
        message=f"there is no such cluster; the clusters are {', '.join(names) or 'none'}",
        fix=f"did you mean {near}?"
        if near
        else "use one of them, or write clusters/<name>/ and bootstrap/<name>/",
    )
    return False


@dataclass(frozen=True, slots=True)
class _Parts:
    """What could be read of one cluster; a part is missing where something is wrong with it."""

    inventory: Inventory | None
    network: network.Network | None
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
        """Read everything and note everything."""
        clusters, bootstrap = Path("clusters") / name, Path("bootstrap") / name
        inventory = read_inventory(root, clusters / "talos" / "talconfig.yaml", findings)
        shared = None if inventory is None else _check_inventory(root, name, inventory, findings)
        tree = fluxtree.read_tree(root, clusters / "flux", findings)
        known = helmreleases.read_releases(tree, findings)
        talosfit.check_fit(known, findings)
        phases = helmfile.read_helmfile(root, bootstrap, findings)
        templates.check_templates(root, bootstrap, findings)
        cluster_id = 0
        if inventory is not None:
            cluster_id = _check_values(name, tree, known, inventory, shared, findings)
            clustervars.check_cluster_vars(name, tree, inventory, shared, cluster_id, findings)
        told = sync.read_sync(root, bootstrap / "resources", name, findings)
        template = bootstrap / secrets.TEMPLATE
        if told is not None:
            secrets.check_bootstrap_secrets(root, template, told, findings)
        _check_file_names(root, clusters / "talos", bootstrap, findings)
        return cls(
            inventory=inventory,
            network=shared,
            releases=handoff.match_releases(phases, known, findings, complete=tree.complete),
            crd_releases=tuple(release.name for release in phases.crds),
            cluster_id=cluster_id,
            cilium_path=cilium_release.path
            if (cilium_release := known.get("cilium"))
            else clusters / "flux",
            sync=told,
            age_recipient=_age_recipient(root, clusters, config, findings),
            references=secrets.read_references(root, template, findings),
            # What is wrong with a patch has been noted above.
            discovery=inventory is not None
            and patches.uses_discovery(
                inventory, patches.read_patches(root, inventory, Findings())
            ),
        )

    @property
    def claim(self) -> Claim | None:
        """What this cluster claims for itself, as far as it could be read."""
        return (
            None
            if self.inventory is None
            else Claim(self.inventory, self.network, self.cluster_id, self.cilium_path)
        )

    def cluster(self, root: Path, name: str) -> Cluster | None:
        """Return the cluster, or nothing where a part is missing."""
        if self.inventory is None or self.network is None or self.sync is None:
            return None
        workers = tuple(
            node.node for node in self.inventory.nodes if node not in self.inventory.control_plane
        )
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
            nodes=(*(node.node for node in self.inventory.control_plane), *workers),
            releases=self.releases,
            crd_releases=self.crd_releases,
            sync=self.sync,
            age_recipient=self.age_recipient,
            references=self.references,
            discovery=self.discovery,
        )


def _check_inventory(
    root: Path, name: str, inventory: Inventory, findings: Findings
) -> network.Network | None:
    if inventory.name != name:
        findings.add(
            inventory.path,
            "clusterName",
            inventory.name,
            rule="cluster-name-differs",
            message=f"the folder is called {name}",
            fix=f"write `clusterName: {name}`, or rename the folders",
        )
    machines.check_machines(inventory, findings)
    shared = network.check_network(inventory, findings)
    chosen = patches.read_patches(root, inventory, findings)
    if chosen.complete:
        patches.check_patches(inventory, chosen, str(shared.nodes) if shared else "", findings)
    return shared


def _check_values(
    name: str,
    tree: FluxTree,
    known: dict[str, Release | None],
    inventory: Inventory,
    shared: network.Network | None,
    findings: Findings,
) -> int:
    if (coredns := known.get("coredns")) is not None:
        cilium.check_coredns(coredns, inventory, findings)
    if (release := known.get("cilium")) is None:
        return 0
    cilium.check_strategies(tree.objects["HelmRelease", release.namespace, release.name], findings)
    return cilium.check_cilium(name, release, inventory, shared, findings)


def _check_file_names(root: Path, talos: Path, bootstrap: Path, findings: Findings) -> None:
    # The Flux folder and the resources are walked by their own readers.
    for folder in (talos, bootstrap / "helmfile.d", bootstrap / "templates"):
        for _ in document.yaml_files(root, folder, findings):
            pass


def _age_recipient(root: Path, clusters: Path, config: SopsConfig, findings: Findings) -> str:
    secret = clusters / "talos" / "talsecret.sops.yaml"
    if not (root / secret).is_file():
        findings.add(
            secret,
            "",
            None,
            rule="missing-file",
            message="the file is missing",
            fix="make it with `talosctl gen secrets`, and encrypt it with sops before it is committed",
        )
    rule = config.rule_for(secret)
    return rule.first_recipient if rule else ""
