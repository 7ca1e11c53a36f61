"""Bringing the kind lab up: every step looks first and does only what is missing, so that `up` can follow on anything, a kill included."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network

import yaml

from firstlight.clock import Clock, SystemClock
from firstlight.definition import load
from firstlight.definition.model import Cluster, Role
from firstlight.errors import TargetError, ToolMissing
from lab.docker import network, routes
from lab.docker.engine import Engine, find_engine
from lab.docker.host import Host, read_host
from lab.kind import description, kubeconfig
from lab.kind.config import kind_config
from lab.kind.definition import for_kind, require_same_size
from lab.kind.ending import end_lab
from lab.kind.making import make
from lab.kind.nodes import Found, find_nodes, require_all
from lab.kind.settings import SUBNET_VARIABLE, given_by_the_engine, kind_of, subnet_of
from lab.simulated import services, workstation
from lab.simulated.checkout import read_checkout
from lab.simulated.lock import holding
from lab.simulated.paths import LabPaths, private_dir
from lab.simulated.tree import copy_definition
from lab.simulated.workstation import require_tools

Say = Callable[[str], None]

LOCK_S = 1200.0
"""Another `up` may be pulling the node image."""

_NEEDED = ("talosctl", "sops")
"""What the lab itself needs: its stand-in of the encrypted secrets is made by talosctl."""


def up(paths: LabPaths, say: Say, *, fresh: bool = False, clock: Clock | None = None) -> bool:
    """Bring the lab up, or find it up; report whether anything had to be done.

    Raises:
        FirstlightError: It cannot be brought up; the message says why and what to do.
    """
    clock = clock or SystemClock()
    require_platform(paths)
    cluster = load(paths.checkout, paths.cluster)
    with holding(paths, "bring up", clock, wait_s=LOCK_S):
        if fresh and paths.state.exists():
            end_lab(paths, say)
        return _Up(paths, cluster, say, clock).run()


def require_platform(paths: LabPaths, host: Host | None = None) -> None:
    """Make sure that kind can work on this computer.

    Raises:
        TargetError: It cannot.
        ToolMissing: A command is not there.
    """
    if sys.platform != "linux":
        raise TargetError(
            f"cannot bring up the kind target on {sys.platform}: nodes must be reachable from here, and an engine in a virtual machine hides them",
            next_step="run it on Linux, or inside a Linux virtual machine",
        )
    if (host or read_host()).cgroup_version != 2:  # noqa: PLR2004 - the version of control groups
        raise TargetError(
            "cannot bring up the kind target: Kubernetes 1.35 wants control groups of version 2",
            next_step="./task rehearse needs none",
        )
    if not (paths.tools / "kind").exists():
        raise ToolMissing(
            "kind", seen=f"not in {paths.tools}", next_step="./task tools:bring TOOLS=kind"
        )
    require_tools(paths, _NEEDED)


def require_engine(environ: Mapping[str, str]) -> Engine:
    """Return the engine that kind will reach.

    Raises:
        TargetError: None answers.
        ToolMissing: There is no command line.
    """
    engine = find_engine(environ)
    if engine is None:
        raise TargetError(
            "cannot bring up the kind target: no container engine answers",
            next_step="start Docker; `docker version` says more",
        )
    return engine


class _Up:
    """One `up`: what it works on, and whether it did anything."""

    def __init__(self, paths: LabPaths, cluster: Cluster, say: Say, clock: Clock) -> None:
        self._paths = paths
        self._cluster = cluster
        self._kind = kind_of(paths, os.environ)
        self._subnet = subnet_of(os.environ)
        self._clock = clock
        self._say_to = say
        self._acted = False

    def run(self) -> bool:
        # What is wrong with definition or host is said before anything is made.
        require_same_size(self._subnet, self._cluster.node_network)
        config = yaml.safe_dump(
            kind_config(self._cluster, self._kind.name, given_by_the_engine(self._subnet)),
            sort_keys=False,
        )
        engine = require_engine(os.environ)
        self._kind = kind_of(self._paths, engine.environment)
        private_dir(self._paths.state)
        self._network(engine)
        if make(self._kind, config, self._paths, self._say_to):
            self._acted = True
        found = find_nodes(engine, self._kind.name, self._kind.network)
        require_all(
            found,
            self._kind.name,
            [node.role is Role.CONTROL_PLANE for node in self._cluster.nodes],
        )
        first = found.control_planes[0]
        for pods in self._cluster.pod_networks:
            if network.route_pods(pods, first.address, read_host()):
                self._say(
                    f"network: this computer reaches pods ({pods}) by way of {first.hostname}"
                )
        self._workstation(engine, found)
        return self._acted

    def _network(self, engine: Engine) -> None:
        if not engine.inspect("network", [self._kind.network]):
            own: list[IPv4Network] = [
                self._cluster.node_network,
                *self._cluster.pod_networks,
                *self._cluster.service_networks,
            ]
            routes.require_free(self._subnet, read_host().routes, own, SUBNET_VARIABLE)
            for pods in self._cluster.pod_networks:
                network.require_pods_free(pods, read_host())
        mtu = max((node.mtu for node in self._cluster.nodes), default=0) or 1500
        chosen_from = given_by_the_engine(self._subnet)
        ended_by = f"./task kind:down CLUSTER={self._cluster.name}"
        if network.ensure(
            engine,
            self._kind.network,
            str(self._paths.state),
            self._subnet,
            mtu,
            ended_by=ended_by,
            chosen_from=chosen_from,
        ):
            self._say(f"network: {self._subnet}, MTU {mtu}")

    def _workstation(self, engine: Engine, found: Found) -> None:
        source = for_kind(read_checkout(self._paths.checkout), self._cluster, self._subnet, found)
        lab = source.services[self._paths.cluster]
        recipient = workstation.prepare(self._paths, lab)
        git = services.git_server(self._paths, lab)
        if not services.is_current(self._paths, git):
            self._acted = True
            services.begin(self._paths, git, self._say_to)
        environment = {**os.environ, **description.environment(self._paths, lab, str(self._subnet))}
        copy_definition(self._paths, source, lab, recipient, environment, self._say)
        cluster = load(self._paths.tree, self._paths.cluster)
        if kubeconfig.export(
            self._paths, kubeconfig.renamed(self._kind.kubeconfig_text(), cluster)
        ):
            self._say(f"kubeconfig: {self._paths.kubeconfig}, context {cluster.context}")
        services.wait_until_ready(self._paths, git, self._clock)
        description.write(self._paths, cluster, lab, str(self._subnet), recipient, engine)

    def _say(self, text: str) -> None:
        self._acted = True
        self._say_to(text)
