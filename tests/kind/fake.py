"""A `kind` command with scripted answers that records its calls and variables: a real process."""

from __future__ import annotations

import os
from pathlib import Path

from lab.kind.cluster import Kind

_SCRIPT = """#!/bin/sh
here={here}
printf '%s\\n' "$*" >> "$here/calls"
printf '%s %s\\n' "$KIND_EXPERIMENTAL_PROVIDER" "$KIND_EXPERIMENTAL_DOCKER_NETWORK" \\
  >> "$here/variables"
case "$1 $2" in
  "get clusters") [ -f "$here/exists" ] && echo firstlight-infra; echo another ;;
  "create cluster")
    touch "$here/exists"
    echo ' ✓ Preparing nodes 📦'
    exit $(cat "$here/create.code" 2>/dev/null || echo 0)
    ;;
  "delete cluster") rm -f "$here/exists" ;;
  *) echo "no answer for $*" >&2; exit 99 ;;
esac
"""


class FakeKind:
    """The command, and a `Kind` that uses it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "kind"
        program.write_text(_SCRIPT.format(here=folder))
        program.chmod(0o755)
        self.kind = Kind(
            program,
            "firstlight-infra",
            "firstlight-infra-kind",
            folder / "kind.kubeconfig",
            dict(os.environ),
        )

    def is_there(self) -> None:
        """Pretend that the cluster exists."""
        (self.folder / "exists").touch()

    def cannot_create(self) -> None:
        """Make the creation of a cluster fail half way."""
        (self.folder / "create.code").write_text("1")

    def calls(self) -> list[str]:
        """Every call."""
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def variables(self) -> set[str]:
        """The variables that kind received."""
        return set((self.folder / "variables").read_text().splitlines())
