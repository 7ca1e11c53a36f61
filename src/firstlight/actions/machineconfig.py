"""Action: generate the machine configs and the talosconfig."""

from __future__ import annotations

from firstlight.actions.action import Action
from firstlight.clock import Clock
from firstlight.definition.model import Cluster
from firstlight.tools.machineconfig import generate_machine_configs, why_stale
from firstlight.tools.runner import Runner


def generate_configs(cluster: Cluster, runner: Runner, clock: Clock) -> Action:
    """Generate the machine configs, if what they are made from has changed."""

    def act() -> None:
        generate_machine_configs(cluster, runner, now=clock.now())

    return Action(
        title=f"generate the machine configs of {cluster.name}",
        need=lambda: why_stale(cluster, runner, now=clock.now()),
        act=act,
        commands=lambda: (f"./task talos:gen-config CLUSTER={cluster.name}",),
    )
