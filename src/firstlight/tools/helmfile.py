"""helmfile: install one or all releases of a file, and list them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from firstlight.process import CommandResult
from firstlight.tools.reading import Unreadable, read_json, read_yaml
from firstlight.tools.runner import Runner

LOOK_S = 60.0

SYNC_S = 960.0
"""A minute more than the longest timeout in bootstrap/, the 15 minutes of Cilium.

So helm gives up first, says why, and leaves no release pending.
"""


class Helmfile:
    """Runs helmfile on the files of a cluster's `bootstrap/`."""

    def __init__(self, runner: Runner, folder: Path, kubeconfig: Path, context: str) -> None:
        self._runner = runner
        self._folder = folder
        self._context = context
        self._env = {"KUBECONFIG": str(kubeconfig)}

    def command(self, file: str, *words: str) -> list[str]:
        """Return the argument list for one file of `helmfile.d/`."""
        return [
            "helmfile",
            "--file",
            str(self._folder / "helmfile.d" / file),
            "--kube-context",
            self._context,
            "--no-color",
            *words,
        ]

    def sync_command(self, file: str, *, release: str = "") -> list[str]:
        """Return the argument list that installs the releases of a file, or one of them."""
        if release:
            return self.command(
                file, "--selector", f"name={release}", "sync", "--hide-notes", "--skip-needs"
            )
        return self.command(file, "sync", "--hide-notes")

    def sync(self, file: str, *, release: str = "") -> CommandResult:
        """Install or upgrade the releases of a file, or one of them, and wait for each.

        Raises:
            ToolFailed: A release could not be installed.
        """
        result = self._runner.run(
            self.sync_command(file, release=release), timeout_s=SYNC_S, env=self._env, changes=True
        )
        return result.raise_on_failure(f"install {release or file} with helmfile", row="FL-112")

    def releases(self, file: str) -> list[dict[str, Any]]:
        """List the releases of a file: name, namespace, chart and version.

        Raises:
            ToolFailed: The file cannot be rendered.
        """
        result = self._runner.run(
            self.command(file, "list", "--output", "json", "--skip-charts"),
            timeout_s=LOOK_S,
            env=self._env,
            quiet=True,
        )
        result.raise_on_failure(f"render {file}")
        return parse_listed(result.stdout)

    def values(self, file: str) -> dict[str, dict[str, Any]]:
        """Return the rendered values of each release of a file, by release name.

        Raises:
            ToolFailed: The file cannot be rendered.
        """
        with tempfile.TemporaryDirectory(prefix="firstlight-") as folder:
            template = f"{folder}/{{{{ .Release.Name }}}}.yaml"
            words = self.command(file, "write-values", "--output-file-template", template)
            self._runner.run(words, timeout_s=LOOK_S, env=self._env, quiet=True).raise_on_failure(
                f"render the values of {file}"
            )
            return {
                path.stem: read_yaml(path.read_text(), f"the values of {path.stem}") or {}
                for path in sorted(Path(folder).glob("*.yaml"))
            }


def parse_listed(text: str) -> list[dict[str, Any]]:
    """Read `helmfile list --output json`.

    Raises:
        Unreadable: It is something else.
    """
    listed = read_json(text, "the list of helmfile")
    if not isinstance(listed, list) or not all(
        isinstance(row, dict) and "name" in row and "namespace" in row for row in listed
    ):
        raise Unreadable("the list of helmfile", "it does not have helmfile's format")
    return listed
