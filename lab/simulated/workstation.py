"""What the operator of a lab has at hand: keys, known hosts, the `op` stand-in, and a copy of the definition with its vault filled."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pyrage import x25519

from firstlight.errors import TargetError, ToolMissing
from lab.simulated.addresses import Endpoints
from lab.simulated.paths import LabPaths, private_dir, write_atomic

if TYPE_CHECKING:
    from pathlib import Path


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
    recipient = age_recipient(paths)
    vault_key(paths)
    known_host = f"{lab.known_host} {host_key(paths.git / 'host_key')}\n"
    if (
        not paths.known_hosts.exists()
        or paths.known_hosts.read_text(encoding="ascii") != known_host
    ):
        write_atomic(paths.known_hosts, known_host, mode=0o600)
    _write_op(paths)
    return recipient


def _write_op(paths: LabPaths) -> None:
    """Put the `op` stand-in on the lab's path; it knows its lab by its own text, whoever calls it from wherever."""
    python = f"PYTHONPATH={shlex.quote(str(paths.checkout))} exec {shlex.quote(sys.executable)} -m lab.simulated.op"
    text = f'#!/bin/sh\n# The stand-in of 1Password\'s command line, for this lab only.\n{python} --lab {shlex.quote(str(paths.state))} "$@"\n'
    script = paths.bin / "op"
    if not script.exists() or script.read_text(encoding="utf-8") != text:
        write_atomic(script, text, mode=0o755)


READ_ONLY_TITLE = "flux (read-only)"
_SECRET_PREFIX = "AGE-SECRET-KEY-"  # noqa: S105 - how every such key begins


@dataclass(frozen=True, slots=True)
class DeployKey:
    """A deploy key: `identity` is the private half, `public` the line that the Git host is given."""

    identity: str
    public: str


def age_recipient(paths: LabPaths) -> str:
    """Return the public half of the lab's AGE key; both halves are made on first use.

    A private key that is gone later stays gone, as it would for an operator: nobody but they can put it back.
    """
    if paths.age_recipient.exists():
        return paths.age_recipient.read_text(encoding="ascii").strip()
    identity = x25519.Identity.generate()
    for folder in (paths.home, paths.home / ".config", paths.age_keys.parent):
        private_dir(folder)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    # The form that age-keygen writes.
    write_atomic(
        paths.age_keys,
        f"# created: {created}\n# public key: {identity.to_public()}\n{identity}\n",
        mode=0o600,
    )
    write_atomic(paths.age_recipient, f"{identity.to_public()}\n")
    return str(identity.to_public())


def age_key(paths: LabPaths) -> str:
    """Return the lab's AGE private key.

    Raises:
        TargetError: It is not where the story has it.
    """
    lines = (
        paths.age_keys.read_text(encoding="utf-8").splitlines() if paths.age_keys.exists() else []
    )
    found = next((line.strip() for line in lines if line.startswith(_SECRET_PREFIX)), "")
    if not found:
        raise TargetError(
            f"cannot read the lab's AGE key: there is none in {paths.age_keys}",
            next_step="put it back, or start anew with FRESH=1",
        )
    return found


def vault_key(paths: LabPaths) -> str:
    """Return what opens the vault, made on first use; a new lab starts signed in."""
    if paths.op_account.exists():
        return paths.op_account.read_text(encoding="ascii").strip()
    key = str(x25519.Identity.generate())
    write_atomic(paths.op_session, key + "\n", mode=0o600)
    write_atomic(paths.op_account, key + "\n", mode=0o600)
    return key


def new_deploy_key(comment: str) -> DeployKey:
    """Make an ed25519 key pair in OpenSSH's own form."""
    # asyncssh takes a third of a second to import, so only what needs it pays.
    import asyncssh

    key = asyncssh.generate_private_key("ssh-ed25519", comment=comment)
    return DeployKey(
        identity=key.export_private_key("openssh").decode(),
        public=key.export_public_key("openssh").decode().strip(),
    )


def host_key(path: Path) -> str:
    """Return the public line of the Git server's host key, made on first use."""
    public = path.with_suffix(".pub")
    if not (path.exists() and public.exists()):
        key = new_deploy_key("")
        write_atomic(public, key.public + "\n")
        write_atomic(path, key.identity, mode=0o600)
    return " ".join(public.read_text(encoding="ascii").split()[:2])


def register(keys_file: Path, title: str, public: str, *, read_only: bool) -> None:
    """Add a key to the Git host's deploy keys, in the place of one of the same title."""
    known = json.loads(keys_file.read_text(encoding="utf-8")) if keys_file.exists() else []
    kept = [entry for entry in known if entry["title"] != title]
    kept.append({"title": title, "key": public, "read_only": read_only})
    write_atomic(keys_file, json.dumps(kept, indent=2) + "\n")


def require_tools(paths: LabPaths, names: Sequence[str]) -> None:
    """Make sure that set-up has brought these tools, and that git is there.

    Raises:
        ToolMissing: One is not there; the message says how to have it.
    """
    for name in names:
        if not (paths.tools / name).exists():
            raise ToolMissing(name, seen=f"not in {paths.tools}", next_step="./task tools:setup")
    if shutil.which("git") is None:
        raise ToolMissing("git", next_step="install git with the machine's package manager")
