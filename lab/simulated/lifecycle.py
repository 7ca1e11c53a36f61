"""Bring a lab up. Each step checks first and does only what is missing.

So `up` can follow on any state, even on an `up` that was killed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from firstlight.clock import Clock, SystemClock
from firstlight.definition import load
from firstlight.definition.model import Cluster
from firstlight.errors import TargetError
from firstlight.events import Bus
from firstlight.files import write_atomically
from firstlight.tools.machineconfig import generate_machine_configs
from firstlight.tools.runner import Runner
from lab.simulated import charts, description, machines, services, workstation
from lab.simulated.addresses import Endpoints, endpoints
from lab.simulated.checkout import Source, read_checkout
from lab.simulated.ending import end_lab
from lab.simulated.paths import LabPaths, lab_lock
from lab.simulated.tree import copy_definition
from lab.simulated.workstation import require_tools

Say = Callable[[str], None]

_NEEDED = ("talosctl", "sops", "helm", machines.BINARY)


def up(
    paths: LabPaths,
    say: Say,
    *,
    fresh: bool = False,
    take_over: bool = False,
    clock: Clock | None = None,
) -> bool:
    """Bring the lab up if it is not; report whether anything had to be done.

    Args:
        paths: The lab.
        say: Receives a line for each thing that is done.
        fresh: Whether to remove an existing lab first.
        take_over: Whether to continue with a lab that belongs to another checkout.
        clock: The clock.

    Raises:
        FirstlightError: The lab cannot be brought up.
    """
    clock = clock or SystemClock()
    _require_platform(paths)
    with lab_lock(paths, "bring up", clock, without_runs=fresh or take_over):
        if fresh and paths.state.exists():
            end_lab(paths, say)
        description.require_own(paths, say, take_over=take_over)
        source = _read(paths)
        return _Up(paths, source, endpoints(source.network(paths.cluster)), say, clock).run()


class _Up:
    """One `up`: its inputs, and whether it changed anything."""

    def __init__(
        self, paths: LabPaths, source: Source, lab: Endpoints, say: Say, clock: Clock
    ) -> None:
        self._paths = paths
        self._source = source
        self._lab = lab
        self._clock = clock
        self._say_to = say
        self._acted = False

    def run(self) -> bool:
        recipient = workstation.prepare(self._paths, self._lab)
        with ThreadPoolExecutor(max_workers=1) as pool:
            # helm and the tree are independent, and each waits for its own processes.
            packaging = pool.submit(
                charts.package,
                self._paths,
                charts.stand_ins(self._paths.checkout),
                self._environment(),
            )
            git = services.git_server(self._paths, self._lab)
            self._begin(git)
            copy_definition(
                self._paths, self._source, self._lab, recipient, self._environment(), self._say
            )
            if packaging.result():
                self._say(f"charts: packaged to {self._paths.charts}")
        data, configs = self._machine_configs()
        service = services.machines(self._paths, machines.listeners(data), configs)
        self._begin(service)
        description.write(self._paths, data, self._lab, recipient)
        for waiting in (git, service):
            services.wait_until_ready(self._paths, waiting, self._clock)
        return self._acted

    def _machine_configs(self) -> tuple[dict[str, object], list[Path]]:
        """Return machines.json and the configs; regenerate them if the inventory changed."""
        mark = self._paths.run / "inventory.digest"
        digest = machines.inventory_digest(self._paths, self._paths.cluster)
        if (
            mark.exists()
            and mark.read_text(encoding="ascii") == digest
            and self._paths.machines_config.exists()
        ):
            data = json.loads(self._paths.machines_config.read_text(encoding="utf-8"))
            configs = [Path(node["machine_config"]) for node in data["nodes"]]
            if all(config.exists() for config in configs):
                return data, configs
        cluster = generate_configs(self._paths, self._environment(), self._clock, self._say)
        data = machines.configuration(self._paths, cluster, self._lab)
        machines.write_configuration(self._paths, data)
        write_atomically(mark, digest, mode=0o644)
        return data, [cluster.machine_config(node) for node in cluster.nodes]

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **description.environment(self._paths, self._paths.cluster, self._lab, ""),
        }

    def _begin(self, service: services.Service) -> None:
        if not services.is_current(self._paths, service):
            self._acted = True
            services.begin(self._paths, service, self._say_to)

    def _say(self, text: str) -> None:
        self._acted = True
        self._say_to(text)


def generate_configs(
    paths: LabPaths, environment: Mapping[str, str], clock: Clock, say: Say
) -> Cluster:
    """Generate the machine configs of the lab's copy of the definition, and return the definition.

    Raises:
        FirstlightError: The definition is invalid, or the configs cannot be generated.
    """
    cluster = load(paths.tree, paths.cluster)
    runner = Runner(environment=environment, root=paths.tree, bus=Bus(clock), criterion=lambda: "")
    generated = generate_machine_configs(cluster, runner, now=datetime.now(UTC))
    if not generated.reused:
        say(f"machines: {len(cluster.nodes)} machine configs generated with {generated.made_by}")
    return cluster


def _read(paths: LabPaths) -> Source:
    try:
        return read_checkout(paths.checkout)
    except TargetError:
        # The definition's own checks report all its errors at once, with remedies.
        load(paths.checkout, paths.cluster)
        raise


def _require_platform(paths: LabPaths) -> None:
    if sys.platform != "linux":
        raise TargetError(
            f"cannot bring up the simulated target on {sys.platform}: "
            "it needs /proc and all of 127.0.0.0/8 on loopback",
            next_step="use Linux or a Linux virtual machine",
        )
    require_tools(paths, _NEEDED)
