"""What the operator of a lab has at hand: keys, known hosts, the `op` stand-in, and a copy of the definition with its vault filled."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.simulated import keys, tree, vault_items
from lab.simulated.addresses import Endpoints
from lab.simulated.checkout import Source
from lab.simulated.paths import LabPaths, private_dir, write_atomic


def prepare(paths: LabPaths, lab: Endpoints) -> str:
    """Have the lab's folders, keys and commands; return the recipient that the definition's copy is encrypted to."""
    for folder in (
        paths.state,
        paths.run,
        paths.logs,
        paths.home / ".kube",
        paths.known_hosts.parent,
    ):
        private_dir(folder)
    recipient = keys.age_recipient(paths)
    keys.vault_key(paths)
    known_host = f"{lab.known_host} {keys.host_key(paths.git / 'host_key')}\n"
    if (
        not paths.known_hosts.exists()
        or paths.known_hosts.read_text(encoding="ascii") != known_host
    ):
        write_atomic(paths.known_hosts, known_host, mode=0o600)
    _write_op(paths)
    return recipient


def copy_definition(
    paths: LabPaths,
    source: Source,
    lab: Endpoints,
    recipient: str,
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    """Make the lab's copy of the definition what the checkout says, and put a value behind each of its op:// references."""
    if tree.refresh(paths, source, recipient, environment):
        say(f"tree: made from the checkout, commit {tree.head(paths)[:12]}")
    template = source.files.get(Path("bootstrap") / paths.cluster / "secrets.yaml.tpl", b"")
    if filled := vault_items.fill(paths, template.decode(), lab):
        say(f"vault: {filled} values put behind op:// references of the definition")


def _write_op(paths: LabPaths) -> None:
    """Put the `op` stand-in on the lab's path; it knows its lab by its own text, whoever calls it from wherever."""
    python = f"PYTHONPATH={shlex.quote(str(paths.checkout))} exec {shlex.quote(sys.executable)} -m lab.simulated.op"
    text = f'#!/bin/sh\n# The stand-in of 1Password\'s command line, for this lab only.\n{python} --lab {shlex.quote(str(paths.state))} "$@"\n'
    script = paths.bin / "op"
    if not script.exists() or script.read_text(encoding="utf-8") != text:
        write_atomic(script, text, mode=0o755)
