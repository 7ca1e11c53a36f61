"""Where a lab keeps everything: one folder per cluster."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from firstlight.errors import TargetError

MARK = "FIRSTLIGHT_LAB"
"""The environment variable that every process of a lab carries; its value is the state folder."""

_CLUSTER_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class LabPaths:
    """Every path of one lab.

    Attributes:
        cluster: The cluster that the lab plays.
        state: The folder that holds all of it.
        checkout: The repository that the lab is made from.
        target: The target that the lab plays, which is also the name of its tasks.
    """

    cluster: str
    state: Path
    checkout: Path
    target: str = "simulated"

    @property
    def lock(self) -> Path:
        """Held while the lab changes; beside the state folder, because `down` removes that."""
        return self.state.parent / f"{self.cluster}.lock"

    @property
    def tree(self) -> Path:
        """The lab's copy of the definition, a Git work tree."""
        return self.state / "tree"

    @property
    def home(self) -> Path:
        """The operator's home folder in this lab."""
        return self.state / "home"

    @property
    def age_keys(self) -> Path:
        """The AGE private key, where the story has it."""
        return self.home / ".config" / "sops" / "age" / "keys.txt"

    @property
    def age_recipient(self) -> Path:
        """The public half of that key, which stays known when the private half is gone."""
        return self.state / "age-recipient"

    @property
    def kubeconfig(self) -> Path:
        """Where the bootstrap writes the kubeconfig."""
        return self.home / ".kube" / f"k8s-ops-{self.cluster}"

    @property
    def known_hosts(self) -> Path:
        """The Git server's host key, as an SSH client reads it."""
        return self.home / ".ssh" / "known_hosts"

    @property
    def bin(self) -> Path:
        """Commands that only this lab has: the stand-in of `op`."""
        return self.state / "bin"

    @property
    def git(self) -> Path:
        """The Git server's settings."""
        return self.state / "git"

    @property
    def repository(self) -> Path:
        """The bare repository that the Git server serves."""
        return self.git / "k8s-ops.git"

    @property
    def charts(self) -> Path:
        """The packaged charts with their index."""
        return self.state / "charts"

    @property
    def run(self) -> Path:
        """Process ids and readiness marks."""
        return self.state / "run"

    @property
    def logs(self) -> Path:
        """What the lab's processes say."""
        return self.state / "logs"

    @property
    def vault(self) -> Path:
        """The encrypted vault of the `op` stand-in."""
        return self.state / "vault.age"

    @property
    def op_account(self) -> Path:
        """What opens the vault: it stands for the account's password."""
        return self.state / "op-account"

    @property
    def op_session(self) -> Path:
        """The signed-in session of the `op` stand-in; absent when signed out."""
        return self.state / "op-session"

    @property
    def machines_config(self) -> Path:
        """What the simulated machines are told."""
        return self.state / "machines.json"

    @property
    def machines_state(self) -> Path:
        """What the simulated machines remember."""
        return self.state / "machines-state.json"

    @property
    def description(self) -> Path:
        """What `up` says of the lab, for the target and for people."""
        return self.state / "lab.json"

    @property
    def tools(self) -> Path:
        """The pinned command-line tools of the checkout."""
        return self.checkout / ".tools" / "bin"

    @property
    def tool_charts(self) -> Path:
        """The charts that set-up assembles from CRDs."""
        return self.checkout / ".tools" / "charts"


def lab_paths(
    cluster: str,
    *,
    target: str = "simulated",
    environ: Mapping[str, str] = os.environ,
    checkout: Path | None = None,
) -> LabPaths:
    """Return the paths of a cluster's lab.

    A process of a lab has the lab's home folder for its own, so there the mark says where labs are kept.

    Raises:
        TargetError: The name is no cluster name; it would become a path.
    """
    if not _CLUSTER_NAME.fullmatch(cluster):
        raise TargetError(
            f"cannot name a lab {cluster!r}: a cluster name is lower-case letters, digits and dashes"
        )
    if environ.get(MARK):
        root = Path(environ[MARK]).parent
    else:
        base = environ.get("XDG_STATE_HOME") or str(
            Path(environ.get("HOME", "~")).expanduser() / ".local" / "state"
        )
        root = Path(base) / "firstlight" / target
    return LabPaths(
        cluster=cluster,
        state=root.resolve() / cluster,
        checkout=checkout or Path(__file__).resolve().parents[2],
        target=target,
    )


def private_dir(path: Path) -> Path:
    """Make a folder that only its owner can read, and return it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o700)
    return path


def write_atomic(path: Path, data: bytes | str, *, mode: int = 0o644) -> None:
    """Write a file whole or not at all, so that a kill at any time leaves the old one or the new one."""
    content = data.encode() if isinstance(data, str) else data
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.fchmod(descriptor, mode)
        with os.fdopen(descriptor, "wb", closefd=False) as stream:
            stream.write(content)
    finally:
        os.close(descriptor)
    fresh.replace(path)
