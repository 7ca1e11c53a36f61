"""What a run says about continuing it, and which state of the repository it ran from."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from firstlight.checklist import Selection
from firstlight.process import run

FOLDER = "FIRSTLIGHT_FOLDER"
"""Set by `task`: the folder in which it was typed. It works in the checkout itself."""


def resume_command(
    cluster: str, target: str, selection: Selection, options: Sequence[str] = ()
) -> str:
    """Return the command that does the same again on the same cluster, typed in the checkout.

    Args:
        cluster: The cluster.
        target: The target.
        selection: The part of the checklist.
        options: Other options of the run, as words.
    """
    if target != "simulated":
        command = f"./task bootstrap CLUSTER={cluster} TARGET={target}"
    elif cluster != "infra":
        command = f"./task rehearse CLUSTER={cluster}"
    else:
        # The infra cluster is the one that a rehearsal bootstraps by default.
        command = "./task rehearse"
    words = [*(["--stage", selection.text] if selection else []), *options]
    return f"{command} -- {shlex.join(words)}" if words else command


def typed_here(command: str, checkout: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Return a command of the checkout as it works in the folder in which this run was typed."""
    here = Path(environ.get(FOLDER) or Path.cwd())
    if here.resolve() == checkout.resolve():
        return command
    return f"cd {shlex.quote(str(checkout))} && {command}"


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
