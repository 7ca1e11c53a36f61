"""Actions on the kubeconfig: generate it, and push it to 1Password."""

from __future__ import annotations

import shlex
from pathlib import Path

from firstlight.actions.action import Action
from firstlight.definition.model import Cluster
from firstlight.errors import ActionFailed, Blocked
from firstlight.files import write_atomically
from firstlight.tools.kubeconfig import PRIVATE, KubeconfigUnusable, kubeconfig_problem
from firstlight.tools.kubernetes import ApiForeign, ApiRefused, ApiUnavailable, Kubernetes
from firstlight.tools.op import VAULT, OnePassword, document_title
from firstlight.tools.runner import Runner
from firstlight.tools.secret_discovery import mask_configuration
from firstlight.tools.talosctl import Talosctl


def generate_kubeconfig(
    talosctl: Talosctl, cluster: Cluster, path: Path, runner: Runner, kubernetes: Kubernetes
) -> Action:
    """Generate the admin kubeconfig, mode 0600, from a node: the VIP may not be elected yet."""
    address = str(cluster.first_control_plane.address)

    def need() -> str | None:
        why = kubeconfig_problem(path, cluster)
        if why:
            return why
        try:
            kubernetes.ready()
        except KubeconfigUnusable as error:
            return error.summary
        except ApiRefused as error:
            # The file belongs to another cluster, or this one was created again.
            return f"{path} is refused: {error.summary}" if error.status in (401, 403) else None
        except ApiForeign as error:
            return f"{path} belongs to another cluster: {error.summary}"
        except ApiUnavailable:
            return None
        return None

    def act() -> None:
        text = talosctl.kubeconfig(address)
        mask_configuration(runner, text)
        write_atomically(path, text, mode=PRIVATE)
        why = kubeconfig_problem(path, cluster)
        if why:
            node = cluster.first_control_plane.hostname
            raise ActionFailed(
                f"cannot use the kubeconfig that {node} returned: {why}", row="FL-211"
            )

    return Action(
        title=f"generate the kubeconfig {path.name}",
        need=need,
        act=act,
        commands=lambda: (f"{shlex.join(talosctl.kubeconfig_command(address))} > {path}",),
    )


def push_kubeconfig(op: OnePassword, cluster: Cluster, path: Path) -> Action:
    """Push the kubeconfig to 1Password, through a pipe."""
    title = document_title(cluster)

    def need() -> str | None:
        if not path.is_file():
            raise Blocked(
                f"cannot push {title} to 1Password: there is no kubeconfig at {path}",
                next_step=f"./task talos:kubeconfig CLUSTER={cluster.name} TARGET=<target>",
                row="FL-236",
            )
        stored = op.document(title, VAULT)
        if stored is None:
            return f"vault {VAULT} has no {title}"
        return (
            None
            if stored.strip() == path.read_text().strip()
            else f"{title} in vault {VAULT} is another kubeconfig"
        )

    def exists() -> bool:
        return op.document(title, VAULT) is not None

    return Action(
        title=f"push {title} to 1Password",
        need=need,
        act=lambda: op.push_document(title, VAULT, path.read_text(), exists=exists()),
        commands=lambda: (f"{shlex.join(op.push_command(title, VAULT, exists=exists()))} <{path}",),
    )
