"""Conditions of the operator's side: tools, definitions, 1Password, AGE key and kubeconfig."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from firstlight.checklist import Capability
from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.definition import cluster_names, load_all
from firstlight.definition.model import Cluster
from firstlight.target import Target
from firstlight.toolbox import check
from firstlight.tools.kubeconfig import kubeconfig_problem
from firstlight.tools.op import VAULT, OnePassword, document_title
from firstlight.tools.reading import read_yaml
from firstlight.tools.sops import Sops

PINNED_TOOLS = frozenset({"talosctl", "kubectl", "helm", "helmfile", "flux", "sops"})
"""The tools that the story needs; all of them are pinned."""

TALOS_SECRETS_KEYS = frozenset({"cluster", "secrets", "certs"})
"""The top-level keys of every `talsecret.sops.yaml`."""


def every_pinned_tool_present(checkout: Path) -> Condition[Mapping[str, str]]:
    """Check that every pinned tool has its version; the value is where each comes from."""

    def probe() -> Observation[Mapping[str, str]]:
        found = check(checkout)
        problems = [tool.problem for tool in found if tool.problem]
        unpinned = sorted(PINNED_TOOLS - {tool.tool for tool in found})
        if unpinned:
            problems.append(f"tools/versions.toml does not pin {', '.join(unpinned)}")
        if problems:
            helm_4 = any(tool.tool == "helm" and " version 4." in tool.problem for tool in found)
            return never("; ".join(problems), rows=("FL-058",) if helm_4 else ())
        return holds(
            f"{len(found)} tools", {tool.tool: f"{tool.version} ({tool.source})" for tool in found}
        )

    return Condition("every tool to be present in its pinned version", probe, row="FL-219")


def every_command_present(target: Target) -> Condition[Mapping[str, str]]:
    """Check that the commands that are not pinned are on PATH; the value is where each is."""
    names = ["git", "ssh", "op"]
    if Capability.DATAPATH in target.capabilities:
        names.append("cilium")

    def probe() -> Observation[Mapping[str, str]]:
        found = {name: shutil.which(name, path=target.environment["PATH"]) for name in names}
        missing = [name for name, path in found.items() if path is None]
        if missing:
            return never(f"{', '.join(missing)} not on PATH; install what is missing")
        return holds(
            f"{', '.join(names)} on PATH", {name: str(path) for name, path in found.items()}
        )

    return Condition(f"{', '.join(names)} to be on PATH", probe)


def definition_valid(root: Path, cluster: Cluster) -> Condition[tuple[str, ...]]:
    """Check that all definitions load together, this one unchanged; the value is their names."""

    def probe() -> Observation[tuple[str, ...]]:
        clusters = load_all(root)
        names, folders = sorted(each.name for each in clusters), sorted(cluster_names(root))
        if names != folders:
            return never(f"loaded {', '.join(names)}, but clusters/ has {', '.join(folders)}")
        if cluster not in clusters:
            return never(f"the definition of {cluster.name} changed since this run started")
        return holds(f"valid: {', '.join(names)}", tuple(names))

    return Condition(f"the definition of {cluster.name} to be valid", probe)


def signed_in_to_1password(op: OnePassword) -> Condition[str]:
    """Check that an account is signed in to 1Password; the value is which."""

    def probe() -> Observation[str]:
        who = op.whoami()
        return holds("signed in", who) if who else never("op does not say who is signed in")

    return Condition("1Password to be signed in", probe)


def every_reference_resolves(op: OnePassword, cluster: Cluster) -> Condition[set[str]]:
    """Check that every op:// reference has a value; the value is the references, never theirs."""
    references = sorted({reference.reference for reference in cluster.references})

    def probe() -> Observation[set[str]]:
        # One call for all of them: the quota of 1Password is shared by the whole account.
        injected = op.inject(
            "".join(
                f"<<{number}>>{reference}<<end>>\n" for number, reference in enumerate(references)
            )
        )
        values = dict(re.findall(r"<<(\d+)>>(.*?)<<end>>", injected, re.DOTALL))
        empty = [
            reference
            for number, reference in enumerate(references)
            if not values.get(str(number), "").strip()
        ]
        raw = [
            reference
            for number, reference in enumerate(references)
            if values.get(str(number), "").startswith("op://")
        ]
        if empty or raw:
            return never(f"no value for {', '.join(empty + raw)}", rows=("FL-204",))
        op.mask_secrets(*values.values())
        return holds(f"{len(references)} references resolve", set(references))

    return Condition("every op:// reference to resolve", probe)


def age_key_opens_talos_secrets(sops: Sops, cluster: Cluster) -> Condition[set[str]]:
    """Check that the AGE key decrypts the cluster's Talos secrets; the value is their keys."""
    path = cluster.talsecret

    def probe() -> Observation[set[str]]:
        content = read_yaml(sops.decrypt(path), f"what {path.name} decrypts to")
        if not isinstance(content, dict):
            return never(f"{path.name} decrypts to something other than a mapping")
        keys = {str(key) for key in content}
        missing = sorted(TALOS_SECRETS_KEYS - keys)
        if missing:
            return never(f"{path.name} has no {', '.join(missing)}")
        return holds(f"{path.name} opens", keys)

    return Condition(f"the AGE key to open {path.name}", probe)


def kubeconfig_usable(path: Path, cluster: Cluster) -> Condition[Path]:
    """Check that the kubeconfig is private and points at the cluster, under its own context."""

    def probe() -> Observation[Path]:
        problem = kubeconfig_problem(path, cluster)
        if problem:
            return never(problem, rows=("FL-211" if path.is_file() else "FL-236",))
        return holds(f"{path} has context {cluster.context} at {cluster.endpoint}", path)

    return Condition(f"the kubeconfig {path.name} to be usable", probe)


def kubeconfig_in_1password(op: OnePassword, cluster: Cluster, path: Path) -> Condition[bool]:
    """Wait until 1Password holds the kubeconfig exactly as it is on disk."""
    title = document_title(cluster)

    def probe() -> Observation[bool]:
        if not path.is_file():
            return never(f"there is no kubeconfig at {path}", rows=("FL-236",))
        stored = op.document(title, VAULT)
        if stored is None:
            return not_yet(f"vault {VAULT} has no {title}")
        if stored.strip() != path.read_text().strip():
            return never(f"{title} in vault {VAULT} is another kubeconfig", rows=("FL-232",))
        return holds(f"{title} in vault {VAULT}", value=True)

    return Condition(f"{title} to be in 1Password", probe)
