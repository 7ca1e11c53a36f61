"""What a run says about continuing it, and which state of the repository it ran from."""

from __future__ import annotations

from pathlib import Path

from firstlight.checklist import Selection
from firstlight.process import run


def resume_command(cluster: str, target: str, selection: Selection) -> str:
    """Return the command that runs the same part of the checklist again on the same cluster."""
    if target != "simulated":
        command = f"./task bootstrap CLUSTER={cluster} TARGET={target}"
    elif cluster != "infra":
        command = f"./task rehearse CLUSTER={cluster}"
    else:
        # The infra cluster is the one that a rehearsal bootstraps by default.
        command = "./task rehearse"
    return f"{command} -- --stage {selection.text}" if selection else command


def revision_of(checkout: Path) -> str:
    """Return branch and commit of the checkout (`main@2ffc5d3`), empty outside Git.

    A plus follows if files differ from the commit.
    """

    def git(*words: str) -> str | None:
        result = run(["git", "-C", checkout, *words], timeout_s=10)
        return result.stdout.strip() if result.ok else None

    branch, commit = git("rev-parse", "--abbrev-ref", "HEAD"), git("rev-parse", "--short", "HEAD")
    if branch is None or commit is None:
        return ""
    changed = git("status", "--porcelain", "--untracked-files=no")
    return f"{branch}@{commit}{'+' if changed else ''}"
