"""Kubeconfigs: whether one is usable, and a client that writes its keys to no other file.

The official client writes the admin's key to a temporary file, which a killed run leaves behind.
Here keys stay in memory.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from kubernetes import config as kubernetes_config
from kubernetes.client import ApiClient, Configuration

from firstlight.definition.model import Cluster
from firstlight.errors import FirstlightError
from firstlight.tools.reading import Unreadable, read_yaml

PRIVATE = 0o600
"""Only its owner may read a kubeconfig: it gives full access to the cluster."""


_OTHER_FORM = (OSError, ValueError, LookupError, TypeError, AttributeError)
"""Python's errors on reading a file that is not a kubeconfig."""

_SECRETS = {
    "clusters": ("cluster", ("certificate-authority",)),
    "users": ("user", ("client-certificate", "client-key")),
}
"""Where a kubeconfig holds certificates and keys, under these names with the suffix `-data`."""


class KubeconfigUnusable(FirstlightError):
    """A kubeconfig exists, but cannot be used to reach the cluster."""

    def __init__(self, path: Path, seen: str) -> None:
        super().__init__(
            f"cannot use the kubeconfig {path}: {seen}",
            next_step="remove it, then run "
            "./task talos:kubeconfig CLUSTER=<cluster> TARGET=<target>",
        )


def kubeconfig_problem(path: Path, cluster: Cluster) -> str:
    """Return why a kubeconfig file is not usable for a cluster, empty if it is."""
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
        return f"{path} is not a kubeconfig: {type(error).__name__}"
    if cluster.context not in contexts:
        found = ", ".join(sorted(contexts)) or "none"
        return f"{path} has no context {cluster.context}, only {found}"
    server = servers.get(contexts[cluster.context], "nothing")
    if server != cluster.endpoint:
        return f"{path} points at {server}, not at {cluster.endpoint}"
    return ""


def connect(path: Path, context: str) -> ApiClient:
    """Return a client that sends each request once, without retries of its own.

    Raises:
        KubeconfigUnusable: It is not a kubeconfig, or lacks the context. The message contains none
            of its text.
    """
    configuration = Configuration()
    configuration.retries = 0
    # The client would ask the proxy of the environment for the cluster's own address. Only a
    # proxy that the kubeconfig itself names is one for this cluster.
    configuration.proxy = None
    try:
        content = _in_memory(read_yaml(path.read_text(encoding="utf-8"), "it"))
        kubernetes_config.load_kube_config_from_dict(
            content, context=context, client_configuration=configuration
        )  # type: ignore[no-untyped-call]
    except kubernetes_config.ConfigException as error:
        raise KubeconfigUnusable(path, str(error).splitlines()[0]) from None
    except Unreadable as error:
        raise KubeconfigUnusable(path, error.message) from None
    except _OTHER_FORM as error:
        raise KubeconfigUnusable(path, f"it is not a kubeconfig ({type(error).__name__})") from None
    return ApiClient(configuration)


def _in_memory(content: dict[str, Any]) -> dict[str, Any]:
    """Return a kubeconfig whose certificates and keys are in files that exist only in memory."""
    for section, (inner, names) in _SECRETS.items():
        for entry in content.get(section) or ():
            for name in names:
                data = entry[inner].pop(f"{name}-data", None)
                if data is not None:
                    entry[inner][name] = _memory_file(name, base64.b64decode(data, validate=True))
    return content


def _memory_file(name: str, content: bytes) -> str:
    descriptor = os.memfd_create(name)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    return f"/proc/{os.getpid()}/fd/{descriptor}"
