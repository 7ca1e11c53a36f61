"""`python -m firstlight.definition.unencrypted FILE...`: refuse files that hold a secret in clear, before they are committed.

It knows what the rules for definitions know: Kubernetes Secrets with values, files named *.sops.yaml that are not encrypted,
private keys, and these in base64 as well, as kubeconfig and talosconfig carry them.
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from firstlight.definition.findings import Findings
from firstlight.definition.secrets import check_file
from firstlight.definition.sops import CONFIG, read_sops_config

_ENCODED = re.compile(rb"LS0tLS1CRUdJTi[A-Za-z0-9+/]{24,}")
"""How base64 of `-----BEGIN ` begins; what kind of PEM it is stands in the characters after it."""

_HEAD_LENGTH = 48
"""Base64 characters that hold the first line of any PEM: a multiple of four, so that they decode."""


def main(arguments: Sequence[str]) -> int:
    """Print every secret in clear that these files hold, and return whether there is any."""
    root = Path.cwd()
    findings = Findings()
    config = read_sops_config(root, findings)
    for name in arguments:
        path = Path(name)
        if not (root / path).is_file():
            # Deleted or a link to nowhere: there is nothing to commit.
            continue
        if path.name != CONFIG.name:
            # The configuration of sops ends in .sops.yaml as well, and holds recipients only.
            check_file(root, path, config, findings)
        _check_encoded(root, path, findings)
    for problem in findings.problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if findings.problems else 0


def _check_encoded(root: Path, path: Path, findings: Findings) -> None:
    content = (root / path).read_bytes()
    for found in _ENCODED.finditer(content):
        head = base64.b64decode(found.group()[: min(_HEAD_LENGTH, len(found.group()) // 4 * 4)])
        if b"PRIVATE KEY" in head:
            line = content.count(b"\n", 0, found.start()) + 1
            findings.add(
                path,
                f"line {line}",
                None,
                rule="plain-private-key",
                message="the file holds a private key in clear, in base64",
                fix="take it out, make a new key, and keep the new one in 1Password",
            )
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
