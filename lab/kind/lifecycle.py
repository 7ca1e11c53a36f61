"""Bring the kind lab up: each step checks first and does only what is missing.

`up` may therefore follow on anything, even on an `up` that was killed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import yaml

from firstlight.clock import Clock, SystemClock
from firstlight.definition import load
from firstlight.definition.model import Cluster, Role
from firstlight.errors import TargetError, ToolMissing
from lab.docker import network
from lab.docker.definition import require_same_size
from lab.docker.engine import Engine, find_engine
from lab.docker.host import Host, read_host, require_linux
from lab.kind.cluster import Found, ensure, find_nodes, kind_of, require_all
from lab.kind.config import SUBNET_VARIABLE, engine_range, kind_config, subnet_of
from lab.kind.definition import export, for_kind, renamed
from lab.kind.ending import end_lab
from lab.kind.status import write_description
from lab.simulated import description, services, workstation
from lab.simulated.checkout import read_checkout
from lab.simulated.paths import LabPaths, lab_lock, private_dir
from lab.simulated.tree import copy_definition
from lab.simulated.workstation import require_tools

Say = Callable[[str], None]

LOCK_S = 1200.0
"""Another `up` may be pulling the node image."""

_NEEDED = ("talosctl", "sops")
"""Tools of the lab itself: talosctl generates the stand-ins of the encrypted secrets."""


def up(
    paths: LabPaths,
    say: Say,
    *,
    fresh: bool = False,
    take_over: bool = False,
    clock: Clock | None = None,
) -> bool:
    """Bring the lab up; report whether anything had to be done.

    Raises:
        FirstlightError: It cannot be brought up; the message says why and what to do.
    """
    clock = clock or SystemClock()
    require_platform(paths)
    cluster = load(paths.checkout, paths.cluster)
    with lab_lock(paths, "bring up", clock, wait_s=LOCK_S, without_runs=fresh or take_over):
        if fresh and paths.state.exists():
            end_lab(paths, say)
        description.require_own(paths, say, take_over=take_over)
        return _Up(paths, cluster, say, clock).run()


def require_platform(paths: LabPaths, host: Host | None = None) -> None:
    """Make sure that kind works on this host.

    Raises:
        TargetError: It does not.
        ToolMissing: A command is missing.
    """
    require_linux(paths.target)
    if (host or read_host()).cgroup_version != 2:  # noqa: PLR2004 - the version of control groups
        raise TargetError(
            "cannot bring up the kind target: Kubernetes 1.35 requires control groups of version 2",
            next_step="use the simulated target, which does not need them: ./task rehearse",
        )
    if not (paths.tools / "kind").exists():
        raise ToolMissing(
            "kind", seen=f"not in {paths.tools}", next_step="./task tools:bring TOOLS=kind"
        )
    require_tools(paths, _NEEDED)


def require_engine(environ: Mapping[str, str]) -> Engine:
    """Return the engine that kind will use.

    Raises:
        TargetError: No engine answers.
        ToolMissing: Docker's command line is missing.
    """
    engine = find_engine(environ)
    if engine is None:
        raise TargetError(
            "cannot bring up the kind target: no container engine answers",
            next_step="start Docker; `docker version` says more",
        )
    return engine


class _Up:
    """One `up`. It reports every change, so if it reported nothing, it changed nothing."""

    def __init__(self, paths: LabPaths, cluster: Cluster, say: Say, clock: Clock) -> None:
        self._paths = paths
        self._cluster = cluster
        self._kind = kind_of(paths, os.environ)
        self._subnet = subnet_of(os.environ)
        self._clock = clock
        self._say_to = say
        self._acted = False

    def run(self) -> bool:
        # Errors in the definition or the host must be found before anything is created.
        require_same_size(self._cluster.node_network, self._subnet, SUBNET_VARIABLE)
        addresses = engine_range(self._subnet)
        config = yaml.safe_dump(
            kind_config(self._cluster, self._kind.name, addresses), sort_keys=False
        )
        engine = require_engine(os.environ)
        self._kind = kind_of(self._paths, engine.environment)
        private_dir(self._paths.state)
        created = network.ensure_for(
            engine,
            self._kind.network,
            self._paths,
            self._cluster,
            self._subnet,
            variable=SUBNET_VARIABLE,
            chosen_from=addresses,
        )
        if created:
            self._say(f"network: {created}")
        ensure(self._kind, config, self._paths, self._say)
        found = find_nodes(engine, self._kind.name, self._kind.network)
        require_all(
            found,
            self._kind.name,
            [node.role is Role.CONTROL_PLANE for node in self._cluster.nodes],
        )
        first = found.control_planes[0]
        network.route_all_pods(self._cluster.pod_networks, first.address, first.hostname, self._say)
        self._workstation(engine, found)
        return self._acted

    def _workstation(self, engine: Engine, found: Found) -> None:
        source = for_kind(read_checkout(self._paths.checkout), self._cluster, self._subnet, found)
        lab = source.services[self._paths.cluster]
        recipient = workstation.prepare(self._paths, lab)
        git = services.git_server(self._paths, lab)
        if not services.is_current(self._paths, git):
            services.begin(self._paths, git, self._say)
        subnet = str(self._subnet)
        environment = {
            **os.environ,
            **description.environment(self._paths, self._paths.cluster, lab, subnet),
        }
        copy_definition(self._paths, source, lab, recipient, environment, self._say)
        cluster = load(self._paths.tree, self._paths.cluster)
        if export(self._paths, renamed(self._kind.kubeconfig_text(), cluster)):
            self._say(f"kubeconfig: {self._paths.kubeconfig}, context {cluster.context}")
        services.wait_until_ready(self._paths, git, self._clock)
        write_description(self._paths, cluster, lab, subnet, recipient, engine)

    def _say(self, text: str) -> None:
        self._acted = True
        self._say_to(text)
