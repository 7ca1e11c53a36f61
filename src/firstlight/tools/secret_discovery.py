"""Mask the secrets of the operator's files and environment before the first command runs.

A run masks the secrets that it reads. A run of a single stage reads few of them, but its tools may
print any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from firstlight.definition.model import Cluster
from firstlight.definition.sops import SUFFIX
from firstlight.errors import ToolMissing
from firstlight.process import run
from firstlight.tools.concurrency import concurrently
from firstlight.tools.reading import Unreadable, read_yaml_documents
from firstlight.tools.runner import Runner
from firstlight.tools.sops import DECRYPT_S, decrypt_command, encrypted_values

_SECRET_KEY = re.compile(
    r"(?!public).*(key|key-data|token|password|passphrase|secret)|auth", re.IGNORECASE
)
"""Keys of secrets in a kubeconfig, a talosconfig or a machine config."""

_SECRET_VARIABLE = re.compile(r"OP_SESSION.*|.*(TOKEN|PASSWORD|SECRET|_KEY)")
"""Variables with secrets of 1Password, sops and Git hosts, but not those that name a file."""


def mask_known_secrets(runner: Runner, cluster: Cluster, kubeconfig: Path) -> None:
    """Mask all secrets that can be found now.

    Unreadable files are skipped; a criterion reports them if they matter.
    """
    environment = runner.environment
    runner.mask_secrets(
        *(value for name, value in environment.items() if _SECRET_VARIABLE.fullmatch(name))
    )
    # One machine config is enough, because all contain the same secrets.
    for path in (
        kubeconfig,
        cluster.talosconfig,
        cluster.machine_config(cluster.first_control_plane),
    ):
        with suppress(OSError, UnicodeDecodeError, Unreadable):
            mask_configuration(runner, path.read_text(encoding="utf-8"))
    with suppress(OSError, UnicodeDecodeError):
        lines = (
            Path(environment.get("SOPS_AGE_KEY_FILE", "")).read_text(encoding="utf-8").splitlines()
        )
        runner.mask_secrets(*(line for line in lines if not line.startswith("#")))

    def decrypted(path: Path) -> list[str]:
        # Not run through the runner: no event is needed, because no verdict depends on it.
        with suppress(ToolMissing):
            result = run(
                decrypt_command(path), timeout_s=DECRYPT_S, env=environment, cwd=cluster.root
            )
            return encrypted_values(path, result.stdout) if result.ok else []
        return []

    files = (*cluster.talos_dir.glob(f"*{SUFFIX}"), *cluster.flux_dir.rglob(f"*{SUFFIX}"))
    for values in concurrently(partial(decrypted, path) for path in files):
        runner.mask_secrets(*values)


def mask_configuration(runner: Runner, text: str) -> None:
    """Mask the keys, tokens and passwords of a kubeconfig, a talosconfig or a machine config.

    Raises:
        Unreadable: The text is not a valid configuration.
    """
    documents = read_yaml_documents(text, "a configuration")
    runner.mask_secrets(*(value for key, value in _values(documents) if _SECRET_KEY.fullmatch(key)))


def _values(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _values(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner, key)
    elif isinstance(value, str):
        yield key, value
