"""Describe a lab in `lab.json`: where everything is, what it can verify, and what stands in."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from firstlight.checklist import Capability
from firstlight.errors import TargetError
from firstlight.files import write_atomically
from firstlight.target import bypass_proxies
from lab.simulated.addresses import GIT_PORT, Endpoints
from lab.simulated.machines import FLUX_CONTROLLERS
from lab.simulated.paths import MARK, LabPaths

CAPABILITIES = (Capability.TALOS_API, Capability.HELM_CONTROLLER)
"""What can be verified on this target if each of Flux's controllers runs."""

STAND_INS = (
    {
        "name": "simulated machines",
        "stands_for": "machines that run Talos",
        "cannot_show": "that the hardware, its network links (MTU, LACP) and its disks work",
    },
    {
        "name": "KWOK",
        "stands_for": "kubelets and containers",
        "cannot_show": "that any image can be pulled, or any program in a pod runs",
    },
    {
        "name": "stand-in charts",
        "stands_for": "the charts of Cilium, CoreDNS, Spegel, cert-manager and Flux",
        "cannot_show": "that the real charts accept the values; "
        "stand-ins only know which keys exist",
    },
    {
        "name": "Flux processes",
        "stands_for": "source-, kustomize-, helm- and notification-controller in pods, "
        "in exactly the versions of this Flux",
        "cannot_show": "that their pods, RBAC and notifications work; "
        "the versions of the processes are listed with the tools",
    },
    {
        "name": "Git server",
        "stands_for": "GitHub with the repository k8s-ops and its deploy key",
        "cannot_show": "that the deploy key is registered at GitHub",
    },
    {
        "name": "op stand-in",
        "stands_for": "the 1Password CLI and the operator's account",
        "cannot_show": "that the items exist in 1Password, or that this operator may read them",
    },
    {
        "name": "lab secrets",
        "stands_for": "the repository's encrypted secrets and the operators' AGE key",
        "cannot_show": "that the real AGE key opens the real files",
    },
)


def environment(
    paths: LabPaths, cluster: str, lab: Endpoints, vip: str, outer: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the environment with which a command works on this lab and on nothing else."""
    return {
        "PATH": f"{paths.bin}:{paths.tools}:{outer.get('PATH', os.defpath)}",
        "HOME": str(paths.home),
        # Tools keep caches and settings here. Without these variables they would use the operator's
        # own.
        "XDG_CACHE_HOME": str(paths.home / ".cache"),
        "XDG_CONFIG_HOME": str(paths.home / ".config"),
        "XDG_DATA_HOME": str(paths.home / ".local" / "share"),
        "SOPS_AGE_KEY_FILE": str(paths.age_keys),
        "TALOSCONFIG": str(
            paths.tree / "clusters" / cluster / "talos" / "clusterconfig" / "talosconfig"
        ),
        "KUBECONFIG": str(paths.kubeconfig),
        "FIRSTLIGHT_CHARTS": str(paths.tool_charts),
        **bypass_proxies(outer, (str(lab.address), vip, "127.0.0.1")),
        MARK: str(paths.state),
    }


BY_HAND = (
    "PATH",
    "KUBECONFIG",
    "TALOSCONFIG",
    "SOPS_AGE_KEY_FILE",
    "FIRSTLIGHT_CHARTS",
    "NO_PROXY",
    "no_proxy",
)
"""What an interactive shell needs.

HOME stays the person's own. The mark is left out because `down` would end the shell's programs.
"""


def exports(paths: LabPaths, outer: Mapping[str, str] = os.environ) -> list[str]:
    """Return `export` lines for a shell, so that the commands of the runbook work on this lab.

    Raises:
        TargetError: The lab is not up.
    """
    try:
        content = json.loads(paths.description.read_text(encoding="utf-8"))["environment"]
    except (OSError, ValueError, KeyError) as error:
        raise TargetError(
            f"cannot print the environment of the lab of {paths.cluster}: it is not up",
            next_step=f"./task {paths.target}:up CLUSTER={paths.cluster}",
        ) from error
    search_path = f"{paths.bin}:{paths.tools}:{outer.get('PATH', os.defpath)}"
    return [
        f"export {name}={shlex.quote(search_path if name == 'PATH' else content[name])}"
        for name in BY_HAND
    ]


def common_content(paths: LabPaths, lab: Endpoints, recipient: str) -> dict[str, Any]:
    """Return the part of the description that every kind of lab has."""
    return {
        "cluster": paths.cluster,
        "state": str(paths.state),
        "checkout": str(paths.checkout),
        "tree": str(paths.tree),
        "home": str(paths.home),
        "kubeconfig": str(paths.kubeconfig),
        "git": {
            "url": lab.git_url,
            "repository": str(paths.repository),
            "known_hosts": str(paths.known_hosts),
        },
        "age_recipient": recipient,
        "logs": str(paths.logs),
    }


def owner(paths: LabPaths) -> Path | None:
    """Return the checkout that a lab belongs to, or None if it was never up."""
    try:
        return Path(json.loads(paths.description.read_text(encoding="utf-8"))["checkout"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def owner_line(paths: LabPaths) -> str:
    """Return whose lab it is, for people."""
    found = owner(paths)
    if found is None:
        return "nobody yet"
    if found == paths.checkout:
        return f"{found} (this checkout)"
    return f"{found} ({'another checkout' if found.exists() else 'which is no longer there'})"


def require_own(paths: LabPaths, say: Callable[[str], None], *, take_over: bool) -> None:
    """Make sure that a lab belongs to this checkout, or take it over.

    What another checkout bootstrapped must not pass for the work of this one.

    Raises:
        TargetError: It belongs to another checkout.
    """
    if owner(paths) in (None, paths.checkout):
        return
    if take_over:
        say(f"taking over the lab of {paths.cluster} from the checkout {owner(paths)}")
        return
    raise TargetError(
        f"cannot bring up the lab of {paths.cluster}: it belongs to another checkout\n"
        f"  owner     {owner_line(paths)}",
        next_step="to continue with it here: "
        f"./task {paths.target}:up CLUSTER={paths.cluster} TAKE_OVER=1, then run the same again; "
        f"to start over: ./task {paths.target}:down CLUSTER={paths.cluster}",
    )


def save(paths: LabPaths, content: Mapping[str, Any]) -> None:
    """Write `lab.json` if its content changes."""
    text = json.dumps(content, indent=2) + "\n"
    if not paths.description.exists() or paths.description.read_text(encoding="utf-8") != text:
        write_atomically(paths.description, text, mode=0o644)


def write(paths: LabPaths, machines: Mapping[str, object], lab: Endpoints, recipient: str) -> None:
    """Write `lab.json` if its content changes."""
    controllers = machines["flux_controllers"]
    has_helm_controller = isinstance(controllers, list) and FLUX_CONTROLLERS[-1] in controllers
    variables = environment(paths, paths.cluster, lab, str(machines["vip"]))
    content = common_content(paths, lab, recipient)
    content["git"] |= {
        "address": str(lab.address),
        "port": GIT_PORT,
        "deploy_keys": str(paths.git / "deploy-keys.json"),
    }
    content |= {
        "bin": [str(paths.bin), str(paths.tools)],
        "talosconfig": variables["TALOSCONFIG"],
        "charts": {
            "registry": lab.registry,
            "repository": lab.charts_url,
            "folder": str(paths.charts),
        },
        "addresses": {
            "lab": str(lab.address),
            "vip": machines["vip"],
            "endpoint": machines["endpoint"],
            "nodes": machines["nodes"],
        },
        "vault": str(paths.vault),
        "op_session": str(paths.op_session),
        "audit_log": str(paths.state / "audit.log"),
        "talos_calls": str(paths.state / "talos-calls.jsonl"),
        "faults": machines["faults_file"],
        "stand_ins": list(STAND_INS),
        "capabilities": [
            capability
            for capability in CAPABILITIES
            if has_helm_controller or capability is not Capability.HELM_CONTROLLER
        ],
        "environment": variables,
    }
    save(paths, content)
