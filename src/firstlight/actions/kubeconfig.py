"""Actions about the kubeconfig: generate it, and push it to 1Password."""

from __future__ import annotations

import shlex
from pathlib import Path

from firstlight.actions.action import Action
from firstlight.definition.model import Cluster
from firstlight.errors import ActionFailed, Blocked
from firstlight.files import write_atomically
from firstlight.tools.athand import learn_configuration
from firstlight.tools.kubeclient import KubeconfigUnusable
from firstlight.tools.kubernetes import ApiForeign, ApiRefused, ApiUnavailable, Kubernetes
from firstlight.tools.op import VAULT, OnePassword, document_title
from firstlight.tools.reading import Unreadable, read_yaml
from firstlight.tools.runner import Runner
from firstlight.tools.talosctl import Talosctl

PRIVATE = 0o600
"""Only its owner may read a kubeconfig: it is the whole cluster."""


def generate_kubeconfig(
    talosctl: Talosctl, cluster: Cluster, path: Path, runner: Runner, kubernetes: Kubernetes
) -> Action:
    """Generate the admin's kubeconfig, mode 0600, from a node's own address: the VIP may not be elected yet."""

    def need() -> str | None:
        why = kubeconfig_problem(path, cluster)
        if why:
            return why
        try:
            kubernetes.ready()
        except KubeconfigUnusable as error:
            return error.summary
        except ApiRefused as error:
            # The file is another cluster's, or this cluster was made anew.
            return f"{path} is refused: {error.summary}" if error.status in (401, 403) else None
        except ApiForeign as error:
            return f"{path} is of another cluster: {error.summary}"
        except ApiUnavailable:
            return None
        return None

    def act() -> None:
        text = talosctl.kubeconfig(str(cluster.first_control_plane.address))
        learn_configuration(runner, text)
        write_atomically(path, text, mode=PRIVATE)
        why = kubeconfig_problem(path, cluster)
        if why:
            raise ActionFailed(
                f"cannot use the kubeconfig that {cluster.first_control_plane.hostname} made: {why}"
            )

    return Action(
        title=f"generate the kubeconfig {path.name}",
        need=need,
        act=act,
        commands=lambda: (
            f"{shlex.join(talosctl.kubeconfig_command(str(cluster.first_control_plane.address)))} > {path}",
        ),
    )


def push_kubeconfig(op: OnePassword, cluster: Cluster, path: Path) -> Action:
    """Push the kubeconfig to 1Password, through a pipe."""
    title = document_title(cluster)

    def need() -> str | None:
        if not path.is_file():
            raise Blocked(
                f"cannot push {title} to 1Password: there is no kubeconfig at {path}",
                next_step=f"./task talos:kubeconfig CLUSTER={cluster.name}",
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


def kubeconfig_problem(path: Path, cluster: Cluster) -> str:
    """Return what is wrong with a kubeconfig file, empty when it is the definition's cluster's and private."""
    if not path.is_file():
        return f"{path} does not exist"
    mode = path.stat().st_mode & 0o777
    if mode != PRIVATE:
        return f"{path} has mode {mode:04o}, not {PRIVATE:04o}"
    try:
        content = read_yaml(path.read_text(), str(path)) or {}
        contexts = {
            entry["name"]: entry["context"]["cluster"] for entry in content.get("contexts") or []
        }
        servers = {
            entry["name"]: entry["cluster"]["server"] for entry in content.get("clusters") or []
        }
    except (Unreadable, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        return f"{path} is no kubeconfig: {type(error).__name__}"
    if cluster.context not in contexts:
        return (
            f"{path} has no context {cluster.context}, only {', '.join(sorted(contexts)) or 'none'}"
        )
    server = servers.get(contexts[cluster.context], "nothing")
    if server != cluster.endpoint:
        return f"{path} points at {server}, not at {cluster.endpoint}"
    return ""
