"""A client of the Kubernetes API from a kubeconfig, whose keys reach no other file.

The official client writes the admin's key into a temporary file, which a run that is killed leaves behind. Here it stays in memory.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from kubernetes import config as kubernetes_config
from kubernetes.client import ApiClient, Configuration

from firstlight.errors import FirstlightError
from firstlight.tools.reading import Unreadable, read_yaml

_OTHER_FORM = (OSError, ValueError, LookupError, TypeError, AttributeError)
"""What it looks like in Python when a kubeconfig is none."""

_SECRETS = {
    "clusters": ("cluster", ("certificate-authority",)),
    "users": ("user", ("client-certificate", "client-key")),
}
"""Where a kubeconfig holds certificates and keys; under each of these names with `-data` behind it."""


class KubeconfigUnusable(FirstlightError):
    """There is a kubeconfig, and the cluster cannot be reached by it."""

    def __init__(self, path: Path, seen: str) -> None:
        super().__init__(
            f"cannot use the kubeconfig {path}: {seen}",
            next_step="remove it, then run ./task talos:kubeconfig CLUSTER=<cluster>",
        )


def connect(path: Path, context: str) -> ApiClient:
    """Return a client that makes each request once: whoever waits decides about the next one.

    Raises:
        KubeconfigUnusable: It is no kubeconfig, or has no such context; nothing of its text is in the message.
    """
    configuration = Configuration()
    configuration.retries = 0
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
        raise KubeconfigUnusable(path, f"it is no kubeconfig ({type(error).__name__})") from None
    return ApiClient(configuration)


def _in_memory(content: dict[str, Any]) -> dict[str, Any]:
    """Return a kubeconfig whose certificates and keys are files that exist in memory alone, for as long as this process lives."""
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
