"""Actions that apply manifests: the bootstrap secrets and Flux's first objects."""

from __future__ import annotations

import shlex
from pathlib import Path

from firstlight.actions.action import Action
from firstlight.definition.model import Cluster
from firstlight.tools.kubectl import Kubectl
from firstlight.tools.kubernetes import Kubernetes
from firstlight.tools.manifests import difference, read_manifests
from firstlight.tools.objects import Object
from firstlight.tools.op import OnePassword
from firstlight.tools.runner import Runner


def apply_secrets(
    op: OnePassword, kubectl: Kubectl, kubernetes: Kubernetes, cluster: Cluster, runner: Runner
) -> Action:
    """Inject the bootstrap secrets from 1Password and apply them; they exist in pipes only."""
    template = cluster.secrets_template
    what = "the bootstrap secrets"
    apply = shlex.join(kubectl.apply_command)
    injected: list[str] = []

    def manifests() -> str:
        # Once per run: the quota of 1Password is shared by the whole account.
        if not injected:
            text = op.inject(template.read_text())
            keep_manifest_secrets(runner, read_manifests(text, "secrets.yaml.tpl with its secrets"))
            injected.append(text)
        return injected[0]

    def act() -> None:
        kubectl.apply(manifests(), what, secret=True)

    return Action(
        title="apply the bootstrap secrets",
        need=lambda: difference(kubernetes, read_manifests(manifests(), what)),
        act=act,
        commands=lambda: (f"op inject <{template.relative_to(cluster.root)} | {apply}",),
    )


def apply_flux_resources(kubectl: Kubectl, kubernetes: Kubernetes, cluster: Cluster) -> Action:
    """Apply the GitRepository and the first Kustomization."""
    folder = cluster.bootstrap_dir / "resources"
    what = "Flux's first objects"
    apply = shlex.join(kubectl.apply_command)

    def files() -> list[Path]:
        return sorted(path for path in folder.glob("*.yaml") if path.name != "kustomization.yaml")

    def manifests() -> str:
        return "\n---\n".join(path.read_text() for path in files())

    def act() -> None:
        kubectl.apply(manifests(), what, secret=False)

    return Action(
        title="apply the GitRepository and the Kustomization",
        need=lambda: difference(kubernetes, read_manifests(manifests(), what)),
        act=act,
        commands=lambda: (
            f"cat {' '.join(str(path.relative_to(cluster.root)) for path in files())} | {apply}",
        ),
    )


def keep_manifest_secrets(runner: Runner, objects: list[Object]) -> None:
    """Mask every value of every Secret in all output from now on."""
    for item in objects:
        if item.get("kind") == "Secret":
            for field in ("data", "stringData"):
                runner.mask_secrets(*(str(value) for value in (item.get(field) or {}).values()))
