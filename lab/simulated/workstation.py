"""The operator's workstation in a lab: keys, known hosts, tools and the `op` stand-in.

Each key is generated once in the lab's life. A private half is on disk only where a real operator
or server has it too: the AGE key in its file, the host key beside the server. The private half of
the deploy key exists only in the vault.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pyrage import x25519

from firstlight.errors import TargetError, ToolMissing
from firstlight.files import write_atomically
from lab.simulated.addresses import Endpoints
from lab.simulated.paths import LabPaths, private_dir


def prepare(paths: LabPaths, lab: Endpoints) -> str:
    """Create the lab's folders, keys and commands if they are missing.

    Returns:
        The recipient that the definition's copy is encrypted to.
    """
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
        write_atomically(paths.known_hosts, known_host, mode=0o600)
    _write_op(paths)
    return recipient


def _write_op(paths: LabPaths) -> None:
    """Install the `op` stand-in on the lab's PATH. The script itself names its lab."""
    checkout, python, state = (
        shlex.quote(word) for word in (str(paths.checkout), sys.executable, str(paths.state))
    )
    text = (
        "#!/bin/sh\n# The stand-in for 1Password's command line, for this lab only.\n"
        f'PYTHONPATH={checkout} exec {python} -m lab.simulated.op --lab {state} "$@"\n'
    )
    script = paths.bin / "op"
    if not script.exists() or script.read_text(encoding="utf-8") != text:
        write_atomically(script, text, mode=0o755)


READ_ONLY_TITLE = "flux (read-only)"
_SECRET_PREFIX = "AGE-SECRET-KEY-"  # noqa: S105 - the prefix of every such key


@dataclass(frozen=True, slots=True)
class DeployKey:
    """A deploy key: `identity` is the private half, `public` the line that the Git host gets."""

    identity: str
    public: str


def age_recipient(paths: LabPaths) -> str:
    """Return the public half of the lab's AGE key, generated on first use.

    If the private key is removed later, it stays removed, as it would for an operator.
    """
    if paths.age_recipient.exists():
        return paths.age_recipient.read_text(encoding="ascii").strip()
    identity = x25519.Identity.generate()
    for folder in (paths.home, paths.home / ".config", paths.age_keys.parent):
        private_dir(folder)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    # The format of age-keygen.
    write_atomically(
        paths.age_keys,
        f"# created: {created}\n# public key: {identity.to_public()}\n{identity}\n",
        mode=0o600,
    )
    write_atomically(paths.age_recipient, f"{identity.to_public()}\n", mode=0o644)
    return str(identity.to_public())


def age_key(paths: LabPaths) -> str:
    """Return the lab's AGE private key.

    Raises:
        TargetError: The key is not at its path.
    """
    lines = (
        paths.age_keys.read_text(encoding="utf-8").splitlines() if paths.age_keys.exists() else []
    )
    found = next((line.strip() for line in lines if line.startswith(_SECRET_PREFIX)), "")
    if not found:
        raise TargetError(
            f"cannot read the lab's AGE key: {paths.age_keys} holds no key",
            next_step="restore it, or start over with FRESH=1",
        )
    return found


def vault_key(paths: LabPaths) -> str:
    """Return the key of the vault, generated on first use. A new lab starts signed in."""
    if paths.op_account.exists():
        return paths.op_account.read_text(encoding="ascii").strip()
    key = str(x25519.Identity.generate())
    write_atomically(paths.op_session, key + "\n", mode=0o600)
    write_atomically(paths.op_account, key + "\n", mode=0o600)
    return key


def new_deploy_key(comment: str) -> DeployKey:
    """Generate an ed25519 key pair in OpenSSH format."""
    # asyncssh takes a third of a second to import, so only import it where it is needed.
    import asyncssh

    key = asyncssh.generate_private_key("ssh-ed25519", comment=comment)
    return DeployKey(
        identity=key.export_private_key("openssh").decode(),
        public=key.export_public_key("openssh").decode().strip(),
    )


def host_key(path: Path) -> str:
    """Return the public line of the Git server's host key, generated on first use."""
    public = path.with_suffix(".pub")
    if not (path.exists() and public.exists()):
        key = new_deploy_key("")
        write_atomically(public, key.public + "\n", mode=0o644)
        write_atomically(path, key.identity, mode=0o600)
    return " ".join(public.read_text(encoding="ascii").split()[:2])


def register(keys_file: Path, title: str, public: str, *, read_only: bool) -> None:
    """Add a key to the Git host's deploy keys, replacing one of the same title."""
    known = json.loads(keys_file.read_text(encoding="utf-8")) if keys_file.exists() else []
    kept = [entry for entry in known if entry["title"] != title]
    kept.append({"title": title, "key": public, "read_only": read_only})
    write_atomically(keys_file, json.dumps(kept, indent=2) + "\n", mode=0o644)


def require_tools(paths: LabPaths, names: Sequence[str]) -> None:
    """Check that setup has installed these tools, and that git is installed.

    Raises:
        ToolMissing: A tool is missing.
    """
    for name in names:
        if not (paths.tools / name).exists():
            raise ToolMissing(name, seen=f"not in {paths.tools}", next_step="./task tools:setup")
    if shutil.which("git") is None:
        raise ToolMissing("git", next_step="install git with the machine's package manager")
