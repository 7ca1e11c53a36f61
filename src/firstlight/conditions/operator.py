"""Conditions of the operator's own side: 1Password and the AGE key."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.definition.model import Cluster
from firstlight.target import Capability, Target
from firstlight.toolbox import check
from firstlight.tools.op import VAULT, OnePassword, document_title
from firstlight.tools.reading import read_yaml
from firstlight.tools.sops import Sops


def tools_present(checkout: Path) -> Condition[Mapping[str, str]]:
    """Say whether every pinned tool is there in its version; its value is where each comes from."""

    def probe() -> Observation[Mapping[str, str]]:
        found = check(checkout)
        problems = [tool.problem for tool in found if tool.problem]
        if problems or not found:
            return never("; ".join(problems) or "no tool is pinned")
        return holds(
            f"{len(found)} tools", {tool.tool: f"{tool.version} ({tool.source})" for tool in found}
        )

    return Condition("every tool to be there at its pinned version", probe)


def commands_present(target: Target) -> Condition[Mapping[str, str]]:
    """Say whether the commands that nobody pins are on the run's PATH; its value is where each is."""
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

    return Condition("git, ssh, op and what else is needed to be on PATH", probe)


def signed_in(op: OnePassword) -> Condition[str]:
    """Say who is signed in to 1Password."""

    def probe() -> Observation[str]:
        who = op.who_am_i()
        return holds("signed in", who) if who else never("op says nothing about who is signed in")

    return Condition("1Password to be signed in", probe)


def references_resolve(op: OnePassword, cluster: Cluster) -> Condition[set[str]]:
    """Say when every op:// reference of the definition has a value; its value is the references, never what they stand for."""
    references = sorted({reference.reference for reference in cluster.references})

    def probe() -> Observation[set[str]]:
        # One call for all of them: 1Password's quota is the whole account's.
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
            return never(f"no value for {', '.join(empty + raw)}")
        op.keep_secret(*values.values())
        return holds(f"{len(references)} references resolve", set(references))

    return Condition("every op:// reference to resolve", probe)


def age_key_opens(sops: Sops, path: Path) -> Condition[set[str]]:
    """Say when the AGE key that is here opens an encrypted file; its value is the names of the file's top-level keys."""

    def probe() -> Observation[set[str]]:
        content = read_yaml(sops.decrypt(path), f"what {path.name} decrypts to")
        if not isinstance(content, dict):
            return never(f"{path.name} decrypts to something else than a mapping")
        return holds(f"{path.name} opens", {str(key) for key in content})

    return Condition(f"the AGE key to open {path.name}", probe)


def document_is(op: OnePassword, cluster: Cluster, kubeconfig: Path) -> Condition[bool]:
    """Say when 1Password holds the kubeconfig as it is on disk."""
    title = document_title(cluster)

    def probe() -> Observation[bool]:
        if not kubeconfig.is_file():
            return never(f"there is no kubeconfig at {kubeconfig}")
        stored = op.document(title, VAULT)
        if stored is None:
            return not_yet(f"vault {VAULT} has no {title}")
        if stored.strip() != kubeconfig.read_text().strip():
            return never(f"{title} in vault {VAULT} is another kubeconfig")
        return holds(f"{title} in vault {VAULT}", value=True)

    return Condition(f"{title} to be in 1Password", probe)
