"""Encrypted files of the checkout, made anew for the lab: nobody here holds the key of the originals, and nobody should.

Key names stay, values become stand-ins, and the real sops encrypts them to the lab's own AGE key.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from firstlight.errors import TargetError
from firstlight.tools.process import run

SUFFIX = ".sops.yaml"
STAND_IN_PREFIX = "standin-"
TALOS_SECRETS = "talsecret.sops.yaml"

_SOPS_S = 30.0
_TALOSCTL_S = 60.0
_ENCRYPTED = re.compile(r"ENC\[AES256_GCM,.*type:(?P<type>\w+)\]", re.DOTALL)


def is_sealed(path: Path) -> bool:
    """Whether a file is one that sops encrypts; sops's own settings only look like one."""
    return path.name.endswith(SUFFIX) and path.name != SUFFIX


def stand_in(
    path: Path, text: str, *, cluster: str, talos_version: str, environment: Mapping[str, str]
) -> str:
    """Return what an encrypted file of the checkout holds in the lab, in plain text: never to be written as it is.

    Only the lab's own cluster has machines, so only its Talos secrets must be real ones.

    Raises:
        TargetError: The file is not encrypted.
        ToolFailed: talosctl did not make the secrets of a cluster.
    """
    if path.name == TALOS_SECRETS and path.parts[1] == cluster:
        words = [
            "talosctl",
            "gen",
            "secrets",
            "--output-file",
            "-",
            "--talos-version",
            talos_version,
        ]
        result = run(words, timeout_s=_TALOSCTL_S, env=environment)
        return result.raise_on_failure(f"generate the secrets for {path}").stdout
    documents = list(yaml.safe_load_all(text))
    if any(not isinstance(document, dict) or "sops" not in document for document in documents):
        raise TargetError(
            f"cannot copy {path}: it is not encrypted",
            next_step=f"sops encrypt --in-place {path}, and change every secret that was in it",
        )
    for document in documents:
        document.pop("sops")
    return yaml.safe_dump_all([_replaced(document, ()) for document in documents], sort_keys=False)


def encrypt(path: Path, plain: str, *, tree: Path, environment: Mapping[str, str]) -> str:
    """Return a text encrypted by the rules of the tree's `.sops.yaml` for that path.

    Raises:
        ToolFailed: sops refused.
    """
    words = [
        "sops",
        "encrypt",
        "--filename-override",
        str(path),
        "--input-type",
        "yaml",
        "--output-type",
        "yaml",
        "/dev/stdin",
    ]
    result = run(words, timeout_s=_SOPS_S, input=plain, env=environment, cwd=tree)
    return result.raise_on_failure(f"encrypt {path}").stdout


def _replaced(value: Any, where: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(entry, (*where, str(key))) for key, entry in value.items()}
    if isinstance(value, list):
        return [_replaced(entry, where) for entry in value]
    match = _ENCRYPTED.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    if match["type"] == "bool":
        return True
    if match["type"] in {"int", "float"}:
        return secrets.randbelow(10**6)
    text = STAND_IN_PREFIX + secrets.token_hex(16)
    # The values under `data` of a Secret are base64 on every cluster.
    return base64.b64encode(text.encode()).decode() if where[:1] == ("data",) else text
