"""Bringing the docker lab up: every step looks first and does only what is missing, so that `up` can follow on anything, a kill included."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from firstlight.clock import Clock, SystemClock
from firstlight.definition import load
from firstlight.definition.model import Cluster
from firstlight.errors import TargetError
from firstlight.events import Bus
from firstlight.tools.machineconfig import generate_machine_configs
from firstlight.tools.runner import Runner
from lab.docker import (
    containment,
    description,
    machines,
    network,
    own_engine,
    routes,
    settings,
    supply,
)
from lab.docker.definition import Circumstances, for_containers
from lab.docker.ending import end_lab, network_name
from lab.docker.engine import Engine
from lab.docker.host import read_host
from lab.docker.images.image_set import bring_cli
from lab.docker.mirror import Mirror
from lab.docker.settings import Settings
from lab.simulated import services, workstation
from lab.simulated.addresses import Endpoints
from lab.simulated.checkout import Source, read_checkout
from lab.simulated.lock import holding
from lab.simulated.paths import LabPaths, private_dir
from lab.simulated.services import Service
from lab.simulated.tree import copy_definition
from lab.simulated.workstation import require_tools

Say = Callable[[str], None]

LOCK_S = 600.0
"""Another `up` may be loading images."""

_NEEDED = ("talosctl", "sops", "helm", "simulated-machines")


def up(paths: LabPaths, say: Say, *, fresh: bool = False, clock: Clock | None = None) -> bool:
    """Bring the lab up, or find it up; report whether anything had to be done.

    Raises:
        FirstlightError: It cannot be brought up; the message says why and what to do.
    """
    clock = clock or SystemClock()
    _require_platform(paths)
    with holding(paths, "bring up", clock, wait_s=LOCK_S):
        if fresh and paths.state.exists():
            end_lab(paths, say, clock)
        source = read_checkout(paths.checkout)
        if paths.cluster not in source.networks:
            known = ", ".join(sorted(source.networks)) or "none"
            raise TargetError(
                f"cannot bring up a lab for {paths.cluster}: there is no such cluster\n  defined   {known}"
            )
        chosen = settings.choose(paths, os.environ, fresh=fresh)
        return _Up(paths, source, chosen, say, clock).run()


class _Up:
    """One `up`: what it works on, and whether it did anything."""

    def __init__(
        self, paths: LabPaths, source: Source, chosen: Settings, say: Say, clock: Clock
    ) -> None:
        self._paths = paths
        self._settings = chosen
        self._host = read_host()
        self._clock = clock
        self._say_to = say
        self._acted = False
        self._offline = supply.is_offline(chosen)
        self._mirror = Mirror(paths) if self._offline else None
        here = Circumstances(chosen, self._host.cgroup_version, self._offline)
        self._source = for_containers(source, paths.cluster, here)
        self._lab: Endpoints = self._source.services[paths.cluster]

    def run(self) -> bool:
        private_dir(self._paths.state)
        settings.keep(self._paths, self._settings)
        engine = own_engine.engine_for(self._paths, self._host, self._say, self._clock)
        self._network(engine)
        recipient = workstation.prepare(self._paths, self._lab)
        waiting = [self._begin(service) for service in self._services()]
        copy_definition(
            self._paths, self._source, self._lab, recipient, self._environment(), self._say
        )
        cluster = self._machine_configs()
        for service in waiting:
            services.wait_until_ready(self._paths, service, self._clock)
        self._machines(engine, cluster)
        description.write(
            self._paths, cluster, self._lab, self._settings, recipient, engine, self._mirror
        )
        return self._acted

    def _network(self, engine: Engine) -> None:
        name, subnet = network_name(self._paths), self._settings.network
        cluster = load(self._paths.checkout, self._paths.cluster)
        if not engine.inspect("network", [name]):
            routes.require_free(
                subnet,
                self._host.routes,
                [cluster.node_network, *cluster.pod_networks, *cluster.service_networks],
            )
            for pods in cluster.pod_networks:
                network.require_pods_free(pods, self._host)
        mtu = max((node.mtu for node in cluster.nodes), default=0) or 1500
        if network.ensure(
            engine,
            name,
            str(self._paths.state),
            subnet,
            mtu,
            ended_by=f"./task docker:down CLUSTER={cluster.name}",
        ):
            self._say(f"network: {subnet}, MTU {mtu}, this computer is {self._lab.address}")
        # Its first machine, at its address on this subnet.
        first = cluster.first_control_plane
        via = subnet.network_address + (
            int(first.address) - int(cluster.node_network.network_address)
        )
        for pods in cluster.pod_networks:
            if network.route_pods(pods, via, read_host()):
                self._say(
                    f"network: this computer reaches pods ({pods}) by way of {first.hostname}"
                )

    def _services(self) -> list[Service]:
        found = [services.git_server(self._paths, self._lab)]
        if self._mirror is not None:
            bring_cli()
            if self._mirror.package_charts(self._environment()):
                self._say(f"charts: packaged to {self._paths.charts}")
            found += self._mirror.services(self._lab)
        return found

    def _machine_configs(self) -> Cluster:
        cluster = load(self._paths.tree, self._paths.cluster)
        runner = Runner(
            environment=self._environment(),
            root=self._paths.tree,
            bus=Bus(self._clock),
            criterion=lambda: "",
        )
        generated = generate_machine_configs(cluster, runner, now=datetime.now(UTC))
        if not generated.reused:
            self._say(
                f"machines: {len(cluster.nodes)} machine configs generated with {generated.made_by}"
            )
        return cluster

    def _machines(self, engine: Engine, cluster: Cluster) -> None:
        image = f"ghcr.io/siderolabs/talos:{cluster.talos_version}"
        if self._mirror is not None:
            image = self._mirror.node_image
            if self._mirror.load_node_image(engine):
                self._say(f"images: {image} loaded into the engine")
        found = machines.machines_of(cluster)
        label, name = str(self._paths.state), network_name(self._paths)
        if machines.ensure(engine, found, image=image, network=name, label=label, say=self._say):
            self._acted = True
        containment.require_clean_host()

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **description.environment(self._paths, self._lab, self._settings)}

    def _begin(self, service: Service) -> Service:
        if not services.is_current(self._paths, service):
            self._acted = True
            services.begin(self._paths, service, self._say_to)
        return service

    def _say(self, text: str) -> None:
        self._acted = True
        self._say_to(text)


def _require_platform(paths: LabPaths) -> None:
    if sys.platform != "linux":
        raise TargetError(
            f"cannot bring up the docker target on {sys.platform}: node containers must be reachable from here, and an engine in a virtual "
            "machine hides them",
            next_step="run it on Linux, or inside a Linux virtual machine",
        )
    require_tools(paths, _NEEDED)
