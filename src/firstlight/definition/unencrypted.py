"""`python -m firstlight.definition.unencrypted FILE...`: reject plain secrets before a commit.

It applies the definition's own rules for secrets: Kubernetes Secrets with plain values, files named
*.sops.yaml that are not encrypted, and private keys, also in base64.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from firstlight.definition.findings import Findings
from firstlight.definition.secrets import check_file
from firstlight.definition.sops import read_sops_config


def main(arguments: Sequence[str]) -> int:
    """Print every plain secret in these files, and return 1 if there is any."""
    root = Path.cwd()
    findings = Findings()
    config = read_sops_config(root, findings)
    for path in map(Path, arguments):
        # A deleted file or a dangling link has nothing to commit.
        if (root / path).is_file():
            check_file(root, path, config, findings)
    for problem in findings.problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if findings.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
