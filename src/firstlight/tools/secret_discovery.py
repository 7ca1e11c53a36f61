"""Secrets at hand: what lies in the operator's files and environment is masked before the first command runs.

A run learns a secret when it reads it. But a run of one stage reads few, and a tool prints what it likes.
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
"""Under which keys of a kubeconfig, a talosconfig or a machine config a secret stands."""

_SECRET_VARIABLE = re.compile(r"OP_SESSION.*|.*(TOKEN|PASSWORD|SECRET|_KEY)")
"""Which variables hold secrets, as 1Password, sops and Git hosts name them; one that names a file ends otherwise."""


def learn_secrets_at_hand(runner: Runner, cluster: Cluster, kubeconfig: Path) -> None:
    """Mask what is at hand by now; whatever cannot be read is not known, and a criterion says so where it matters."""
    environment = runner.environment
    runner.keep_secret(
        *(value for name, value in environment.items() if _SECRET_VARIABLE.fullmatch(name))
    )
    # One machine config is enough: they are made from the same secrets.
    for path in (
        kubeconfig,
        cluster.talosconfig,
        cluster.machine_config(cluster.first_control_plane),
    ):
        with suppress(OSError, UnicodeDecodeError, Unreadable):
            learn_configuration(runner, path.read_text(encoding="utf-8"))
    with suppress(OSError, UnicodeDecodeError):
        lines = (
            Path(environment.get("SOPS_AGE_KEY_FILE", "")).read_text(encoding="utf-8").splitlines()
        )
        runner.keep_secret(*(line for line in lines if not line.startswith("#")))

    def opened(path: Path) -> list[str]:
        # Nobody is told of this command: no verdict rests on it, and nothing changes.
        with suppress(ToolMissing):
            result = run(
                decrypt_command(path), timeout_s=DECRYPT_S, env=environment, cwd=cluster.root
            )
            return encrypted_values(path, result.stdout) if result.ok else []
        return []

    files = (*cluster.talos_dir.glob(f"*{SUFFIX}"), *cluster.flux_dir.rglob(f"*{SUFFIX}"))
    for values in concurrently(partial(opened, path) for path in files):
        runner.keep_secret(*values)


def learn_configuration(runner: Runner, text: str) -> None:
    """Mask every key, token and password of a kubeconfig, a talosconfig or a machine config from now on.

    Raises:
        Unreadable: It is none.
    """
    documents = read_yaml_documents(text, "a configuration")
    runner.keep_secret(*(value for key, value in _values(documents) if _SECRET_KEY.fullmatch(key)))


def _values(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _values(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner, key)
    elif isinstance(value, str):
        yield key, value
