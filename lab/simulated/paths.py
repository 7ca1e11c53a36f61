"""The paths of a lab: one folder per cluster."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from firstlight.clock import Clock
from firstlight.errors import TargetError
from firstlight.lock import LockHeld, cluster_lock, locked
from firstlight.target.model import kubeconfig_path, run_lock

MARK = "FIRSTLIGHT_LAB"
"""The environment variable that marks every process of a lab. Its value is the state folder."""

LOCK_WAIT_S = 60.0
"""A cold `up` takes seconds; a process that holds the lock for longer hangs."""

_CLUSTER_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class LabPaths:
    """The paths of one lab.

    Attributes:
        cluster: The cluster that the lab stands for.
        state: The folder that holds all state.
        checkout: The repository that the lab is made from.
        target: The target that the lab belongs to, and the prefix of its tasks.
    """

    cluster: str
    state: Path
    checkout: Path
    target: str = "simulated"

    @property
    def lock(self) -> Path:
        """The lock of the lab. It is outside the state folder because `down` removes that."""
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
        """The AGE private key, at the path that operators use."""
        return self.home / ".config" / "sops" / "age" / "keys.txt"

    @property
    def age_recipient(self) -> Path:
        """The public half of that key, which stays known when the private half is gone."""
        return self.state / "age-recipient"

    @property
    def kubeconfig(self) -> Path:
        """Where the bootstrap writes the kubeconfig."""
        return kubeconfig_path(self.home, self.cluster)

    @property
    def known_hosts(self) -> Path:
        """The Git server's host key in the format of an SSH client."""
        return self.home / ".ssh" / "known_hosts"

    @property
    def bin(self) -> Path:
        """Commands that exist only in this lab: the `op` stand-in."""
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
        """Process records and ready files."""
        return self.state / "run"

    @property
    def logs(self) -> Path:
        """The output of the lab's processes."""
        return self.state / "logs"

    @property
    def vault(self) -> Path:
        """The encrypted vault of the `op` stand-in."""
        return self.state / "vault.age"

    @property
    def op_account(self) -> Path:
        """The key of the vault. It stands for the account's password."""
        return self.state / "op-account"

    @property
    def op_session(self) -> Path:
        """The session of the `op` stand-in. The file does not exist when signed out."""
        return self.state / "op-session"

    @property
    def machines_config(self) -> Path:
        """The configuration of the simulated machines."""
        return self.state / "machines.json"

    @property
    def machines_state(self) -> Path:
        """The persistent state of the simulated machines."""
        return self.state / "machines-state.json"

    @property
    def description(self) -> Path:
        """The lab's description, for the target and for people."""
        return self.state / "lab.json"

    @property
    def tools(self) -> Path:
        """The pinned command-line tools of the checkout."""
        return self.checkout / ".tools" / "bin"

    @property
    def tool_charts(self) -> Path:
        """The charts that setup assembles from CRDs."""
        return self.checkout / ".tools" / "charts"


def lab_paths(
    cluster: str,
    *,
    target: str = "simulated",
    environ: Mapping[str, str] = os.environ,
    checkout: Path | None = None,
) -> LabPaths:
    """Return the paths of a cluster's lab.

    A process of a lab has the lab's HOME, so there the mark determines where labs are kept.

    Raises:
        TargetError: The cluster name is invalid. It would become a path.
    """
    if not _CLUSTER_NAME.fullmatch(cluster):
        raise TargetError(
            f"cannot name a lab {cluster!r}: "
            "a cluster name consists of lower-case letters, digits and dashes"
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


@contextmanager
def lab_lock(
    paths: LabPaths,
    doing: str,
    clock: Clock,
    *,
    wait_s: float = LOCK_WAIT_S,
    without_runs: bool = False,
) -> Iterator[None]:
    """Hold the lab while the block runs; one process at a time changes a lab.

    Args:
        paths: The lab.
        doing: What is done to the lab; completes "cannot ... the lab".
        clock: The source of time.
        wait_s: How long to wait for another process that changes the lab, in seconds.
        without_runs: Whether no run may use the lab either, because it is about to be removed.

    Raises:
        ClusterLocked: A run uses the lab.
        TargetError: Another process still holds the lab after `wait_s` seconds.
    """
    with ExitStack() as stack:
        if without_runs:
            # A run holds its lock while it brings the lab up, so this one comes first here too.
            whole = f"{doing} the lab of {paths.cluster}"
            stack.enter_context(
                cluster_lock(run_lock(paths.state), paths.cluster, clock, doing=whole)
            )
        private_dir(paths.lock.parent)
        try:
            stack.enter_context(locked(paths.lock, doing=doing, wait_s=wait_s, clock=clock))
        except LockHeld as held:
            raise TargetError(
                f"cannot {doing} the lab of {paths.cluster}: another process has been changing it "
                f"for more than {wait_s:.0f} s\n  held by   {held.holder}",
                next_step=held.next_step,
            ) from None
        yield


def private_dir(path: Path) -> Path:
    """Create a folder that only its owner can read, and return it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o700)
    return path
