"""The kind cluster: kind's command line, the creation of the cluster, and its containers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import Any

from firstlight.errors import TargetError
from firstlight.files import write_atomically
from firstlight.process import CommandResult, run
from lab.docker.engine import Engine
from lab.simulated.paths import LabPaths

CREATE_S = 900.0
"""Six nodes take two minutes once the node image is local; a slow registry may need ten more."""

DELETE_S = 180.0
_CALL_S = 60.0

CLUSTER_LABEL = "io.x-k8s.kind.cluster"
"""kind's own label; it does not accept ours."""

_ROLE_LABEL = "io.x-k8s.kind.role"
_ENDPOINT = "external-load-balancer"


@dataclass(frozen=True, slots=True)
class Kind:
    """kind, for one cluster on one network of the engine.

    Attributes:
        program: The pinned command.
        name: The cluster's name in kind.
        network: The engine's network for its containers.
        kubeconfig: Where kind keeps its kubeconfig: never the operator's.
        environment: What it needs to reach the engine.
    """

    program: Path
    name: str
    network: str
    kubeconfig: Path
    environment: Mapping[str, str]

    def exists(self) -> bool:
        """Report whether kind knows the cluster, complete or not."""
        listed = self._call("get", "clusters").raise_on_failure("list kind's clusters")
        return self.name in listed.stdout.split()

    def create(self, config: Path, on_line: Callable[[str], None]) -> None:
        """Create the cluster without waiting for nodes: without a CNI, none becomes Ready."""
        self._call(
            *("create", "cluster", "--name", self.name, "--config", str(config)),
            *("--kubeconfig", str(self.kubeconfig), "--wait", "0s"),
            timeout_s=CREATE_S,
            on_line=on_line,
        ).raise_on_failure(f"create the kind cluster {self.name}")

    def delete(self) -> None:
        """Remove the cluster with all its containers and volumes."""
        self._call(
            *("delete", "cluster", "--name", self.name, "--kubeconfig", str(self.kubeconfig)),
            timeout_s=DELETE_S,
        ).raise_on_failure(f"remove the kind cluster {self.name}")

    def kubeconfig_text(self) -> str:
        """Return the administrator's kubeconfig."""
        return (
            self._call("get", "kubeconfig", "--name", self.name)
            .raise_on_failure(f"read the kubeconfig of the kind cluster {self.name}")
            .stdout
        )

    def _call(
        self, *words: str, timeout_s: float = _CALL_S, on_line: Callable[[str], None] | None = None
    ) -> CommandResult:
        environment = {
            **self.environment,
            "KIND_EXPERIMENTAL_DOCKER_NETWORK": self.network,
            "KIND_EXPERIMENTAL_PROVIDER": "docker",
        }
        return run(
            [str(self.program), *words], timeout_s=timeout_s, env=environment, on_line=on_line
        )


def kind_of(paths: LabPaths, environ: Mapping[str, str]) -> Kind:
    """Return kind for a lab's cluster, with names that no other cluster of the operator has."""
    name = f"firstlight-{paths.cluster}"
    return Kind(
        paths.tools / "kind", name, f"{name}-kind", paths.state / "kind.kubeconfig", dict(environ)
    )


def ensure(kind: Kind, config: str, paths: LabPaths, say: Callable[[str], None]) -> bool:
    """Ensure that the cluster exists with exactly this configuration; recreate a partial one.

    Returns:
        Whether it was created.

    Raises:
        TargetError: It exists with another configuration.
        ToolFailed: kind cannot create it.
    """
    # kind cannot tell a complete cluster from one whose creation was killed. We write this file
    # only after `create` returned.
    made, wanted = paths.state / "kind.made", hashlib.sha256(config.encode()).hexdigest()
    exists = kind.exists()
    if exists and made.exists():
        if made.read_text(encoding="ascii") != wanted:
            raise TargetError(
                f"cannot use the kind cluster {kind.name}: it was created from another definition",
                next_step=f"./task kind:down CLUSTER={paths.cluster}, then try again",
            )
        return False
    if exists:
        say(f"kind: {kind.name} was only partly created, recreating it")
        kind.delete()
    made.unlink(missing_ok=True)
    file = paths.state / "kind.yaml"
    write_atomically(file, config)
    say(f"kind: creating {kind.name}")
    kind.create(file, say)
    write_atomically(made, wanted)
    return True


@dataclass(frozen=True, slots=True)
class Node:
    """A container that kind created."""

    hostname: str
    is_control_plane: bool
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class Found:
    """A complete kind cluster.

    Attributes:
        control_planes: In kind's order.
        workers: In kind's order.
        endpoint: The address of kind's load balancer, which stands in for the VIP.
    """

    control_planes: tuple[Node, ...]
    workers: tuple[Node, ...]
    endpoint: IPv4Address


def find_nodes(engine: Engine, name: str, network: str) -> Found:
    """Return the running containers of a cluster.

    Raises:
        TargetError: A container does not run, or has no address on the lab's network.
    """
    containers = engine.containers(f"{CLUSTER_LABEL}={name}")
    stopped = sorted(_name(each) for each in containers if not each["State"]["Running"])
    if stopped or not containers:
        seen = f"{', '.join(stopped)} not running" if stopped else "it has no containers"
        raise TargetError(
            f"cannot use the kind cluster {name}: {seen}",
            next_step=f"./task kind:down CLUSTER={_cluster_of(name)}, then try again: "
            "kind's nodes do not survive a restart",
        )
    nodes = [
        (
            str(each["Config"]["Labels"].get(_ROLE_LABEL, "")),
            Node(_name(each), _is_control_plane(each), _address(each, network)),
        )
        for each in containers
    ]
    endpoints = [node.address for role, node in nodes if role == _ENDPOINT]
    if not endpoints:
        raise TargetError(
            f"cannot use the kind cluster {name}: it has no load balancer",
            next_step=f"./task kind:down CLUSTER={_cluster_of(name)}, then try again",
        )
    ordered = sorted(
        (node for role, node in nodes if role != _ENDPOINT),
        key=lambda node: _numbered(node.hostname),
    )
    return Found(
        control_planes=tuple(node for node in ordered if node.is_control_plane),
        workers=tuple(node for node in ordered if not node.is_control_plane),
        endpoint=endpoints[0],
    )


def require_all(found: Found, name: str, wanted: Sequence[bool]) -> None:
    """Make sure that a cluster has the nodes of the definition.

    Args:
        found: The running nodes.
        name: The cluster.
        wanted: For each node of the definition, whether it is a control plane node.

    Raises:
        TargetError: The numbers differ.
    """
    there = (len(found.control_planes), len(found.workers))
    defined = (sum(wanted), len(wanted) - sum(wanted))
    if there != defined:
        raise TargetError(
            f"cannot use the kind cluster {name}: it has {there[0]}+{there[1]} nodes, "
            f"the definition {defined[0]}+{defined[1]}",
            next_step=f"./task kind:down CLUSTER={_cluster_of(name)}, then try again",
        )


def _name(container: Mapping[str, Any]) -> str:
    return str(container["Config"]["Hostname"])


def _cluster_of(name: str) -> str:
    """Return the definition's name for a kind cluster."""
    return name.removeprefix("firstlight-")


def _is_control_plane(container: Mapping[str, Any]) -> bool:
    return str(container["Config"]["Labels"].get(_ROLE_LABEL)) == "control-plane"


def _address(container: Mapping[str, Any], network: str) -> IPv4Address:
    try:
        return IPv4Address(container["NetworkSettings"]["Networks"][network]["IPAddress"])
    except (KeyError, AddressValueError) as error:
        raise TargetError(
            f"cannot use the container {_name(container)}: it has no address on the network "
            f"{network}",
            next_step="./task kind:down CLUSTER=<cluster>, then try again",
        ) from error


def _numbered(hostname: str) -> tuple[str, int]:
    # kind names them worker, worker2, worker3 ... worker10.
    found = re.fullmatch(r"(.*?)(\d*)", hostname)
    return (found[1], int(found[2] or 1)) if found else (hostname, 1)
