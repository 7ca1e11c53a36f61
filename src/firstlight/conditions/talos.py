"""Conditions of Talos machines: they answer, run their configuration, agree on the time, and are healthy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from firstlight.clock import Clock
from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.definition.model import Cluster, Node
from firstlight.tools.talosctl import Service, Talosctl, parse_health
from firstlight.tools.together import together

CLOCK_SKEW_S_MAX = 5.0
"""Certificates made by a clock that is ahead are "not yet valid" elsewhere; etcd warns from one second on; NTP keeps well below."""

HEALTH_ATTEMPT_S = 20.0
"""One `talosctl health` run: its own checks take seconds on a healthy cluster, and it is asked again within the budget."""


@dataclass(frozen=True, slots=True)
class Link:
    """A machine's link as the kernel has it."""

    name: str
    mtu: int
    up: bool
    bond_mode: str


def machine_answers(talosctl: Talosctl, node: Node) -> Condition[str]:
    """Say when a machine's Talos API answers with a certificate that the definition's CA signed; its value is the Talos version."""

    def probe() -> Observation[str]:
        version = talosctl.version(str(node.address))
        return (
            holds(f"{node.hostname} runs Talos {version}", version)
            if version
            else not_yet(f"{node.hostname} does not say its version")
        )

    return Condition(f"{node.hostname} ({node.address}) to answer on port 50000", probe)


def endpoint_answers(talosctl: Talosctl, cluster: Cluster) -> Condition[str]:
    """Say when the VIP answers as a Talos endpoint, which it can only do once etcd has elected its owner."""
    first = cluster.first_control_plane

    def probe() -> Observation[str]:
        version = talosctl.version(str(first.address), endpoint=str(cluster.vip))
        return (
            holds(f"{cluster.vip}:50000 reaches {first.hostname}", version)
            if version
            else not_yet("no version in the answer")
        )

    return Condition(f"the cluster endpoint {cluster.vip} to answer on port 50000", probe)


def machine_runs_its_configuration(
    talosctl: Talosctl, cluster: Cluster, node: Node
) -> Condition[str]:
    """Say when a machine has left maintenance mode and runs the defined Talos version; its value is the stage."""

    def probe() -> Observation[str]:
        version = talosctl.version(str(node.address))
        if not version:
            return not_yet(f"{node.hostname} does not say its version")
        if version != cluster.talos_version:
            return never(
                f"{node.hostname} runs Talos {version}, the definition says {cluster.talos_version}"
            )
        status = talosctl.resources(str(node.address), "machinestatus")
        stage = str(status[0].spec.get("stage", "")) if status else ""
        if stage == "maintenance":
            return never(f"{node.hostname} is in maintenance mode: it has no configuration yet")
        role = _role(talosctl, node)
        if role not in ("", node.role.value):
            return never(f"{node.hostname} runs as a {role}, the definition says {node.role.value}")
        # A control plane node stays in `booting` until etcd is bootstrapped: it waits for us.
        if stage not in ("running", "booting"):
            return not_yet(f"{node.hostname} is in stage {stage or 'unknown'}")
        return (
            holds(f"{node.hostname} is {stage}", stage)
            if role
            else not_yet(f"{node.hostname} does not say what it runs as")
        )

    return Condition(f"{node.hostname} to run its configuration", probe)


def link_is_up(talosctl: Talosctl, node: Node) -> Condition[Link]:
    """Say when a machine's link is up as defined: its name, its MTU, its bond."""

    def probe() -> Observation[Link]:
        links = {
            resource.id: resource.spec
            for resource in talosctl.resources(str(node.address), "links")
        }
        spec = links.get(node.link)
        if spec is None:
            return not_yet(
                f"{node.hostname} has no link {node.link}, only {', '.join(sorted(links)) or 'none'}"
            )
        bond = spec.get("bondMaster") or {}
        link = Link(
            node.link,
            int(spec.get("mtu", 0)),
            str(spec.get("operationalState", "")).lower() == "up",
            str(bond.get("mode", "")),
        )
        seen = f"{node.hostname} {link.name}: {'up' if link.up else 'down'}, MTU {link.mtu}, {link.bond_mode or 'no bond'}"
        wrong = (
            (node.mtu and link.mtu != node.mtu)
            or (node.bond_mode and link.bond_mode != node.bond_mode)
            or not link.up
        )
        return not_yet(seen) if wrong else holds(seen, link)

    return Condition(f"{node.link} of {node.hostname} to be up with MTU {node.mtu}", probe)


def clocks_agree(
    talosctl: Talosctl, nodes: Sequence[Node], clock: Clock
) -> Condition[dict[str, float]]:
    """Say when no machine's clock is far from ours; its value is each machine's skew in seconds."""

    def probe() -> Observation[dict[str, float]]:
        told = together(partial(_skew, talosctl, node, clock) for node in nodes)
        skews = {
            node.hostname: skew for node, skew in zip(nodes, told, strict=True) if skew is not None
        }
        silent = [node.hostname for node in nodes if node.hostname not in skews]
        if silent:
            return not_yet(f"{silent[0]} does not say its time")
        worst = max(skews, key=lambda name: abs(skews[name]))
        seen = f"largest skew {skews[worst]:+.1f} s, {worst}"
        return (
            holds(seen, skews)
            if abs(skews[worst]) <= CLOCK_SKEW_S_MAX
            else not_yet(f"{seen}; at most {CLOCK_SKEW_S_MAX:.0f} s")
        )

    return Condition("the clocks of all machines to agree", probe)


def config_is_valid(talosctl: Talosctl, cluster: Cluster, node: Node) -> Condition[str]:
    """Say whether Talos's own validation accepts a generated machine config."""
    path = cluster.machine_config(node)

    def probe() -> Observation[str]:
        result = talosctl.validate(path)
        # What is wrong is said over several lines.
        said = " ".join(result.stderr.split()) or result.said
        return (
            holds(f"{path.name} is valid", path.name)
            if result.ok
            else never(f"{path.name}: {said}")
        )

    return Condition(f"the machine config of {node.hostname} to be valid", probe)


def services_healthy(talosctl: Talosctl, cluster: Cluster) -> Condition[int]:
    """Say when every Talos service on every machine runs, and is healthy if it has a health check; its value is how many there are."""

    def probe() -> Observation[int]:
        services = [
            service
            for each in together(
                partial(talosctl.services, str(node.address)) for node in cluster.nodes
            )
            for service in each
        ]
        unwell = sorted((s for s in services if not _is_well(s)), key=lambda s: (s.node, s.name))
        if not services:
            return not_yet("no machine lists any service")
        if unwell:
            return not_yet(
                f"{service_text(cluster, unwell[0])}"
                + (f" (and {len(unwell) - 1} more)" if len(unwell) > 1 else "")
            )
        return holds(f"{len(services)} services on {len(cluster.nodes)} machines", len(services))

    return Condition("all Talos services to be healthy", probe)


def talos_health_passes(talosctl: Talosctl, cluster: Cluster) -> Condition[str]:
    """Say when `talosctl health` passes, which it cannot before a CNI has made the nodes Ready."""
    control_plane = [str(node.address) for node in cluster.control_plane]
    workers = [str(node.address) for node in cluster.workers]

    def probe() -> Observation[str]:
        # Talos's own checks take their whole time to say so.
        etcd = [
            service.state
            for service in talosctl.services(control_plane[0])
            if service.name == "etcd"
        ]
        if etcd != ["Running"]:
            return not_yet(
                f"etcd on {cluster.first_control_plane.hostname} is {etcd[0] if etcd else 'not there'}"
            )
        result = talosctl.health(
            control_plane[0],
            control_plane=control_plane,
            workers=workers,
            timeout_s=HEALTH_ATTEMPT_S,
        )
        return (
            holds("every check passed", "healthy")
            if result.ok
            else not_yet(parse_health(result.stderr))
        )

    return Condition("talosctl health to pass", probe)


def service_text(cluster: Cluster, service: Service) -> str:
    """Return how a service of a machine is, on one line."""
    names = {str(node.address): node.hostname for node in cluster.nodes}
    text = f"{service.name} on {names.get(service.node, service.node)} is {service.state}, health {service.health}"
    return f"{text}: {service.last}" if service.last else text


def _role(talosctl: Talosctl, node: Node) -> str:
    """Return what a machine runs as, empty while it does not say so, as early in a boot."""
    kinds = (
        str(resource.spec.get("text", ""))
        for resource in talosctl.resources(str(node.address), "machinetype")
    )
    return next((kind for kind in kinds if kind not in ("", "unknown")), "")


def _skew(talosctl: Talosctl, node: Node, clock: Clock) -> float | None:
    """Return how far a machine's clock is off in seconds, none when it does not say its time."""
    before = clock.now()
    theirs = talosctl.clock(str(node.address))
    return None if theirs is None else _outside(theirs, before, clock.now())


def _outside(theirs: datetime, before: datetime, after: datetime) -> float:
    """Return how far a reading lies outside the span in which it was taken, in seconds."""
    slack = timedelta(seconds=1)
    theirs = theirs.astimezone(UTC)
    if theirs < before - slack:
        return (theirs - before).total_seconds()
    return (theirs - after).total_seconds() if theirs > after + slack else 0.0


def _is_well(service: Service) -> bool:
    return service.state in ("Running", "Finished", "Skipped") and service.health in ("OK", "?", "")
