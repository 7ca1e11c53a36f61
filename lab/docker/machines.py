"""The node containers: one for each machine of the definition, started with its machine config.

They are not created with `talosctl cluster create`, so that our own bootstrap is the one that runs.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from firstlight.definition.model import Cluster
from firstlight.errors import TargetError
from lab.docker.containment import require_own_cgroup_namespace
from lab.docker.engine import Engine
from lab.docker.network import LABEL

CONFIG_LABEL = "firstlight.machine-config"
"""A digest of what a machine was started with, to detect a definition that changed since."""

_TMPFS = ("/run", "/system", "/tmp")  # noqa: S108 - inside the container, per Talos' documentation
_VOLUMES = (
    "/system/state",
    "/var",
    "/etc/cni",
    "/etc/kubernetes",
    "/usr/libexec/kubernetes",
    "/opt",
)
_AT_ONCE = 6
_RUN_S = 120.0


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine of the definition, as a container.

    Attributes:
        hostname: Its name.
        address: Its fixed address.
        config: Its machine config.
    """

    hostname: str
    address: IPv4Address
    config: str

    @property
    def container(self) -> str:
        """The container's name."""
        return f"firstlight-{self.hostname}"

    @property
    def digest(self) -> str:
        """The digest of what it is started with."""
        return hashlib.sha256(f"{self.address} {self.config}".encode()).hexdigest()


def machines_of(cluster: Cluster) -> list[Machine]:
    """Return the machines of a definition; their machine configs must exist."""
    return [
        Machine(
            node.hostname, node.address, cluster.machine_config(node).read_text(encoding="utf-8")
        )
        for node in cluster.nodes
    ]


def arguments(machine: Machine, *, image: str, network: str, label: str) -> list[str]:
    """Return the arguments of `docker run` for a machine, without its config.

    The config holds secrets, so it is passed through the environment.
    """
    words = [
        "run",
        "--detach",
        "--name",
        machine.container,
        "--hostname",
        machine.hostname,
        "--network",
        network,
        "--ip",
        str(machine.address),
    ]
    words += ["--label", f"{LABEL}={label}", "--label", f"{CONFIG_LABEL}={machine.digest}"]
    # The last one is essential: without it, Cilium would attach its programs to this host's own
    # control group and break its network.
    words += [
        "--read-only",
        "--privileged",
        "--security-opt",
        "seccomp=unconfined",
        "--cgroupns=private",
    ]
    words += [word for path in _TMPFS for word in ("--mount", f"type=tmpfs,destination={path}")]
    words += [
        word
        for path in _VOLUMES
        for word in ("--mount", f"type=volume,destination={path},volume-label={LABEL}={label}")
    ]
    # Like a machine, it comes back after a reboot, and stays off when it was switched off.
    words += [
        "--restart",
        "unless-stopped",
        "--log-driver",
        "json-file",
        "--log-opt",
        "max-size=20m",
    ]
    return [*words, "--env", "PLATFORM=container", "--env", "USERDATA", image]


def start(engine: Engine, machine: Machine, *, image: str, network: str, label: str) -> None:
    """Start a machine that does not exist yet, without a config if it has none.

    Raises:
        TargetError: It shares this host's control groups.
        ToolFailed: The engine refuses.
    """
    secret = (
        {"USERDATA": base64.b64encode(machine.config.encode()).decode()} if machine.config else {}
    )
    words = arguments(machine, image=image, network=network, label=label)
    engine.call(*words, timeout_s=_RUN_S, secret_environment=secret).raise_on_failure(
        f"start the machine {machine.hostname}"
    )
    require_own_cgroup_namespace(engine, machine.container)


def ensure(
    engine: Engine,
    machines: Sequence[Machine],
    *,
    image: str,
    network: str,
    label: str,
    say: Callable[[str], None],
) -> bool:
    """Ensure that every machine runs, each in its own control group namespace.

    Returns:
        Whether a machine had to be started.

    Raises:
        TargetError: A machine runs with another config, belongs to somebody else, or shares this
            host's control groups.
        ToolFailed: The engine refuses.
    """
    found = {
        str(each["Name"]).lstrip("/"): each
        for each in engine.inspect("container", [machine.container for machine in machines])
    }

    def one(machine: Machine) -> str:
        there = found.get(machine.container)
        if there is None:
            start(engine, machine, image=image, network=network, label=label)
            return "started"
        _require_same(there, machine, label)
        done = "" if there["State"]["Running"] else "started again"
        if done:
            engine.call("start", machine.container, timeout_s=_RUN_S).raise_on_failure(
                f"start the machine {machine.hostname} again"
            )
        require_own_cgroup_namespace(engine, machine.container)
        return done

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        results = list(zip(machines, pool.map(one, machines), strict=True))
    for done in ("started", "started again"):
        if names := [machine.hostname for machine, result in results if result == done]:
            say(f"machines: {done} {', '.join(names)}")
    return any(result for _, result in results)


def _require_same(there: dict[str, Any], machine: Machine, label: str) -> None:
    labels = there["Config"].get("Labels") or {}
    if labels.get(LABEL) != label:
        raise TargetError(
            f"cannot start the machine {machine.hostname}: a container {machine.container} belongs "
            f"to {labels.get(LABEL, 'something else')}",
            next_step="end the lab that owns it (./task docker:down CLUSTER=<cluster> there)",
        )
    if labels.get(CONFIG_LABEL) != machine.digest:
        raise TargetError(
            f"cannot go on with the machine {machine.hostname}: the definition has changed since "
            "it was started",
            next_step="./task docker:down CLUSTER=<cluster>, then run the same again: the engine "
            "cannot give a running container another machine config",
        )
