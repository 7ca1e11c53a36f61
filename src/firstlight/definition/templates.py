"""Rules for helmfile's Go templates: every template that a file names is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.definition import document

if TYPE_CHECKING:
    from firstlight.definition.findings import Findings

# helmfile takes these names from the folder of the file in helmfile.d/ that is being run.
_NAMED = re.compile(r"\.\./(templates/[\w./-]+\.(?:yaml|gotmpl))")


def check_templates(root: Path, folder: Path, findings: Findings) -> None:
    """Note a template that a file of the bootstrap folder names and that does not exist."""
    for part in ("helmfile.d", "templates"):
        for file in sorted((root / folder / part).glob("*.*")):
            path = file.relative_to(root)
            text = document.read_text(root, path, findings) or ""
            for name in dict.fromkeys(_NAMED.findall(text)):
                if not (root / folder / name).is_file():
                    findings.add(
                        path,
                        "",
                        f"../{name}",
                        rule="missing-file",
                        message=f"the template {folder / name} does not exist",
                        fix="write the file, or correct the name",
                    )
