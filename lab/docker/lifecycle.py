"""Bring the docker lab up: each step checks first and does only what is missing.

`up` may therefore follow on anything, even on an `up` that was killed.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from firstlight.clock import Clock, SystemClock
from firstlight.definition import load
from firstlight.definition.model import Cluster
from lab.docker import containment, machines, network, private_engine, settings, status
from lab.docker.definition import Circumstances, for_containers
from lab.docker.ending import end_lab, network_name
from lab.docker.engine import Engine
from lab.docker.host import read_host, require_linux
from lab.docker.images.image_set import bring_cli
from lab.docker.mirror import Mirror, is_offline
from lab.docker.settings import SUBNET_VARIABLE, Settings
from lab.simulated import description, services, workstation
from lab.simulated.addresses import Endpoints
from lab.simulated.checkout import Source, read_checkout
from lab.simulated.lifecycle import generate_configs
from lab.simulated.paths import LabPaths, lab_lock, private_dir
from lab.simulated.services import Service
from lab.simulated.tree import copy_definition
from lab.simulated.workstation import require_tools

Say = Callable[[str], None]

LOCK_S = 600.0
"""Another `up` may be loading images."""

_NEEDED = ("talosctl", "sops", "helm", "simulated-machines")


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
    require_linux(paths.target)
    require_tools(paths, _NEEDED)
    with lab_lock(paths, "bring up", clock, wait_s=LOCK_S, without_runs=fresh or take_over):
        if fresh and paths.state.exists():
            end_lab(paths, say, clock)
        description.require_own(paths, say, take_over=take_over)
        source = read_checkout(paths.checkout)
        source.network(paths.cluster)  # refuses an unknown cluster before anything else
        chosen = settings.choose(paths, os.environ, fresh=fresh)
        return _Up(paths, source, chosen, say, clock).run()


class _Up:
    """One `up`. It reports every change, so if it reported nothing, it changed nothing."""

    def __init__(
        self, paths: LabPaths, source: Source, chosen: Settings, say: Say, clock: Clock
    ) -> None:
        self._paths = paths
        self._settings = chosen
        self._host = read_host()
        self._clock = clock
        self._say_to = say
        self._acted = False
        self._offline = is_offline(chosen)
        self._mirror = Mirror(paths) if self._offline else None
        here = Circumstances(chosen, self._host.cgroup_version, self._offline)
        self._source = for_containers(source, paths.cluster, here)
        self._lab: Endpoints = self._source.services[paths.cluster]

    def run(self) -> bool:
        private_dir(self._paths.state)
        settings.keep(self._paths, self._settings)
        engine = private_engine.engine_for(self._paths, self._host, self._say, self._clock)
        self._network(engine)
        recipient = workstation.prepare(self._paths, self._lab)
        started = self._start_services()
        copy_definition(
            self._paths, self._source, self._lab, recipient, self._environment(), self._say
        )
        cluster = generate_configs(self._paths, self._environment(), self._clock, self._say)
        for service in started:
            services.wait_until_ready(self._paths, service, self._clock)
        self._machines(engine, cluster)
        status.write_description(
            self._paths, cluster, self._lab, self._settings, recipient, engine, self._mirror
        )
        return self._acted

    def _network(self, engine: Engine) -> None:
        name, subnet = network_name(self._paths), self._settings.network
        cluster = load(self._paths.checkout, self._paths.cluster)
        created = network.ensure_for(
            engine, name, self._paths, cluster, subnet, variable=SUBNET_VARIABLE
        )
        if created:
            self._say(f"network: {created}, this computer is {self._lab.address}")
        # The first machine, at its address on this subnet.
        first = cluster.first_control_plane
        via = subnet.network_address + (
            int(first.address) - int(cluster.node_network.network_address)
        )
        network.route_all_pods(cluster.pod_networks, via, first.hostname, self._say)

    def _start_services(self) -> list[Service]:
        found = [services.git_server(self._paths, self._lab)]
        if self._mirror is not None:
            bring_cli()
            if self._mirror.package_charts(self._environment()):
                self._say(f"charts: packaged to {self._paths.charts}")
            found += self._mirror.services(self._lab)
        for service in found:
            if not services.is_current(self._paths, service):
                services.begin(self._paths, service, self._say)
        return found

    def _machines(self, engine: Engine, cluster: Cluster) -> None:
        image = f"ghcr.io/siderolabs/talos:{cluster.talos_version}"
        if self._mirror is not None:
            image = self._mirror.node_image
            if self._mirror.load_node_image(engine):
                self._say(f"images: {image} loaded into the engine")
        machines.ensure(
            engine,
            machines.machines_of(cluster),
            image=image,
            network=network_name(self._paths),
            label=str(self._paths.state),
            say=self._say,
        )
        containment.require_clean_host()

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **description.environment(
                self._paths, self._paths.cluster, self._lab, self._settings.subnet
            ),
        }

    def _say(self, text: str) -> None:
        self._acted = True
        self._say_to(text)
