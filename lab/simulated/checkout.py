"""Read the definition from the checkout's work tree: committed or not, without ignored files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from firstlight.errors import TargetError
from firstlight.process import CommandResult, run
from lab.simulated.addresses import Endpoints, endpoints, node_network

PARTS = ("clusters", "bootstrap", ".sops.yaml")
"""The parts of the checkout that the lab copies."""

_FORM = "1"
"""Change this when trees made by older code must be regenerated."""


@dataclass(frozen=True, slots=True)
class Source:
    """The checkout's definition.

    Attributes:
        files: Content by path relative to the checkout, sorted.
        networks: The node network of each cluster whose addresses move to loopback.
        services: The lab services of each cluster.
        revision: The checkout's commit; empty if it has none.
    """

    files: Mapping[Path, bytes]
    networks: Mapping[str, IPv4Network]
    services: Mapping[str, Endpoints]
    revision: str

    def network(self, cluster: str) -> IPv4Network:
        """Return the node network of a cluster.

        Raises:
            TargetError: The checkout defines no such cluster.
        """
        if cluster not in self.networks:
            known = ", ".join(sorted(self.networks)) or "none"
            raise TargetError(
                f"cannot bring up a lab for {cluster}: unknown cluster\n  defined   {known}"
            )
        return self.networks[cluster]

    def digest(self, recipient: str) -> str:
        """Return a digest of everything that determines the content of the tree."""
        total = hashlib.sha256(f"{_FORM} {recipient}".encode())
        for path, content in self.files.items():
            total.update(f"\0{path}\0{len(content)}\0".encode())
            total.update(content)
        return total.hexdigest()

    def endpoints(self, path: Path) -> Endpoints | None:
        """Return the lab services of the cluster that a file belongs to, if any."""
        return self.services.get(path.parts[1]) if len(path.parts) > 1 else None


def read_checkout(checkout: Path) -> Source:
    """Read the definition from the work tree: committed or not, without ignored files.

    Raises:
        TargetError: The checkout has no definition, or its node network cannot be read.
    """
    files = {path: (checkout / path).read_bytes() for path in _listing(checkout)}
    if not files:
        raise TargetError(
            f"cannot copy the definition of {checkout}: there is neither clusters/ nor bootstrap/"
        )
    inventories = [path for path in files if path.match("clusters/*/talos/talconfig.yaml")]
    networks = {path.parts[1]: node_network(checkout / path) for path in inventories}
    head = git(checkout, "rev-parse", "HEAD")
    services = {cluster: endpoints(network) for cluster, network in networks.items()}
    return Source(files, networks, services, head.stdout.strip() if head.ok else "")


def _listing(checkout: Path) -> Iterator[Path]:
    listed = git(
        checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PARTS
    )
    if listed.ok:
        names = sorted(set(filter(None, listed.stdout.split("\0"))))
    else:
        # A checkout without Git, such as an unpacked archive. Skip by name what Git would ignore.
        found = [
            path
            for part in PARTS
            for path in (
                (checkout / part).rglob("*") if (checkout / part).is_dir() else [checkout / part]
            )
        ]
        names = sorted(
            str(path.relative_to(checkout)) for path in found if "clusterconfig" not in path.parts
        )
    yield from (Path(name) for name in names if (checkout / name).is_file())


_GIT_S = 60.0


def git(folder: Path, *words: str) -> CommandResult:
    """Run git on a repository, without the operator's own settings."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C.UTF-8",
    }
    for role in ("AUTHOR", "COMMITTER"):
        environment[f"GIT_{role}_NAME"] = "firstlight lab"
        environment[f"GIT_{role}_EMAIL"] = "lab@firstlight.invalid"
    # The checkout may belong to another user (a container mount). It is only read.
    argv = [
        "git",
        "-c",
        "safe.directory=*",
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "gc.auto=0",
        "-C",
        str(folder),
        *words,
    ]
    return run(argv, timeout_s=_GIT_S, env=environment)
