"""Conditions of Talos machines: reachable, configured, with correct clocks, healthy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from firstlight.clock import Clock
from firstlight.conditions.condition import Condition, Observation, holds, never, not_yet
from firstlight.conditions.nodes import CORDONED
from firstlight.definition.model import Cluster, Node, Role
from firstlight.failures import match
from firstlight.process import ToolFailed
from firstlight.tools.concurrency import concurrently
from firstlight.tools.talosctl import Service, Talosctl, parse_health

CLOCK_SKEW_S_MAX = 5.0
"""A certificate from a clock that is ahead is "not yet valid" elsewhere.

etcd warns from a skew of one second on; NTP stays well below that.
"""

REFUSED = "FL-006"
"""The row of the failure catalogue for a machine that refuses connections."""

NO_QUORUM = "FL-101"
"""The row of the failure catalogue for an etcd that is unavailable."""

GAVE_UP = "FL-022"
"""The row of the failure catalogue for a `talosctl health` that gave up."""

HEALTH_ATTEMPT_S = 20.0
"""One run of `talosctl health`: it takes seconds on a healthy cluster, and is repeated."""


@dataclass(frozen=True, slots=True)
class Link:
    """A network link of a machine, as its kernel reports it."""

    name: str
    mtu: int
    up: bool
    bond_mode: str


def all_together(talosctl: Talosctl, nodes: Sequence[Node]) -> Talosctl:
    """Return a talosctl that takes the first look at all these machines with one process.

    A control plane node forwards the question; a worker does not forward.
    """
    through = next((node for node in nodes if node.role is Role.CONTROL_PLANE), nodes[0])
    return talosctl.together([str(node.address) for node in nodes], endpoint=str(through.address))


def machine_answers(talosctl: Talosctl, node: Node) -> Condition[str]:
    """Wait until a machine's Talos API answers with a certificate of the definition's CA.

    The value is the Talos version.
    """

    def probe() -> Observation[str]:
        try:
            version = talosctl.version(str(node.address))
        except ToolFailed as error:
            if error.row is None or error.row.id != REFUSED:
                raise
            # A reboot is over within the budget, so what lasts is something else.
            return not_yet(error.summary, rows=("FL-210",))
        return (
            holds(f"{node.hostname} runs Talos {version}", version)
            if version
            else not_yet(f"{node.hostname} does not report its version")
        )

    return Condition(f"{node.hostname} ({node.address}) to answer on port 50000", probe)


def talos_endpoint_answers(talosctl: Talosctl, cluster: Cluster) -> Condition[str]:
    """Wait until the VIP answers as a Talos endpoint, with the defined version.

    It cannot answer before etcd has elected its owner.
    """
    first = cluster.first_control_plane

    def probe() -> Observation[str]:
        version = talosctl.version(str(first.address), endpoint=str(cluster.vip))
        if not version:
            return not_yet("no version in the answer")
        if version != cluster.talos_version:
            return never(_other_version(cluster, first, version), rows=("FL-217",))
        return holds(f"{cluster.vip}:50000 reaches {first.hostname}", version)

    return Condition(
        f"the cluster endpoint {cluster.vip} to answer on port 50000", probe, row="FL-016"
    )


def machine_runs_its_configuration(
    talosctl: Talosctl, cluster: Cluster, node: Node
) -> Condition[str]:
    """Wait until a machine runs its configuration, in its role, at the defined Talos version.

    The value is the machine's stage.
    """

    def probe() -> Observation[str]:
        version = talosctl.version(str(node.address))
        if not version:
            return not_yet(f"{node.hostname} does not report its version")
        if version != cluster.talos_version:
            return never(_other_version(cluster, node, version), rows=("FL-217",))
        status = talosctl.resources(str(node.address), "machinestatus")
        stage = str(status[0].spec.get("stage", "")) if status else ""
        if stage == "maintenance":
            return never(
                f"{node.hostname} is in maintenance mode: it has no configuration yet",
                rows=("FL-216",),
            )
        role = _role(talosctl, node)
        if role not in ("", node.role.value):
            return never(
                f"{node.hostname} runs as a {role}, the definition says {node.role.value}",
                rows=("FL-004",),
            )
        # A control plane node stays in `booting` until etcd is bootstrapped.
        if stage not in ("running", "booting"):
            return not_yet(f"{node.hostname} is in stage {stage or 'unknown'}")
        return (
            holds(f"{node.hostname} is {stage}", stage)
            if role
            else not_yet(f"{node.hostname} does not report its role")
        )

    return Condition(f"{node.hostname} to run its configuration", probe)


def link_as_defined(talosctl: Talosctl, node: Node) -> Condition[Link]:
    """Wait until a machine's link is up with the defined bond mode and MTU.

    If the definition does not set an MTU, any is accepted.
    """

    def probe() -> Observation[Link]:
        links = {
            resource.id: resource.spec
            for resource in talosctl.resources(str(node.address), "links")
        }
        spec = links.get(node.link)
        if spec is None:
            found = ", ".join(sorted(links)) or "none"
            return not_yet(f"{node.hostname} has no link {node.link}, only {found}")
        bond = spec.get("bondMaster") or {}
        link = Link(
            node.link,
            int(spec.get("mtu", 0)),
            str(spec.get("operationalState", "")).lower() == "up",
            str(bond.get("mode", "")),
        )
        seen = (
            f"{node.hostname} {link.name}: {'up' if link.up else 'down'}, "
            f"MTU {link.mtu}, {link.bond_mode or 'no bond'}"
        )
        right = link.up and link.bond_mode == node.bond_mode and node.mtu in {0, link.mtu}
        return holds(seen, link) if right else not_yet(seen)

    mtu = f" with MTU {node.mtu}" if node.mtu else ""
    return Condition(f"{node.link} of {node.hostname} to be up{mtu}", probe, row="FL-214")


def clocks_agree(
    talosctl: Talosctl, nodes: Sequence[Node], clock: Clock
) -> Condition[dict[str, float]]:
    """Wait until the clock of every machine agrees with this computer's.

    The value is the skew of each machine in seconds.
    """

    def probe() -> Observation[dict[str, float]]:
        measured = concurrently(partial(_skew, talosctl, node, clock) for node in nodes)
        skews = {
            node.hostname: skew
            for node, skew in zip(nodes, measured, strict=True)
            if skew is not None
        }
        silent = [node.hostname for node in nodes if node.hostname not in skews]
        if silent:
            return not_yet(f"{silent[0]} does not report its time")
        worst = max(skews, key=lambda name: abs(skews[name]))
        seen = f"largest skew {skews[worst]:+.1f} s, {worst}"
        return (
            holds(seen, skews)
            if abs(skews[worst]) <= CLOCK_SKEW_S_MAX
            else not_yet(f"{seen}; at most {CLOCK_SKEW_S_MAX:.0f} s", rows=("FL-215",))
        )

    return Condition("the clocks of all machines to agree", probe)


def machine_config_valid(talosctl: Talosctl, cluster: Cluster, node: Node) -> Condition[str]:
    """Check that Talos's own validation accepts a generated machine config."""
    path = cluster.machine_config(node)

    def probe() -> Observation[str]:
        result = talosctl.validate(path)
        # Errors take several lines.
        said = " ".join(result.stderr.split()) or result.last_line
        return (
            holds(f"{path.name} is valid", path.name)
            if result.ok
            else never(f"{path.name}: {said}")
        )

    return Condition(f"the machine config of {node.hostname} to be valid", probe)


def every_talos_service_healthy(talosctl: Talosctl, cluster: Cluster) -> Condition[int]:
    """Wait until all services of every machine run and are healthy; the value counts them.

    A service without a health check only has to run. An answer without any service is an error
    (`Talosctl.services`).
    """

    def probe() -> Observation[int]:
        addresses = [str(node.address) for node in cluster.nodes]
        listed = talosctl.services_of(addresses, endpoint=str(cluster.first_control_plane.address))
        services = [service for each in listed.values() for service in each]
        unwell = sorted((s for s in services if not _is_well(s)), key=lambda s: (s.node, s.name))
        if unwell:
            more = f" (and {len(unwell) - 1} more)" if len(unwell) > 1 else ""
            return not_yet(service_text(cluster, unwell[0]) + more, rows=service_rows(unwell[0]))
        return holds(f"{len(services)} services on {len(cluster.nodes)} machines", len(services))

    return Condition("all Talos services to be healthy", probe)


def talos_health_passes(talosctl: Talosctl, cluster: Cluster) -> Condition[str]:
    """Wait until `talosctl health` passes, which requires a CNI that makes the nodes Ready."""
    control_plane = [str(node.address) for node in cluster.control_plane]
    workers = [str(node.address) for node in cluster.workers]

    def probe() -> Observation[str]:
        # `talosctl health` would use up its whole timeout to find that out.
        etcd = [
            service.state
            for service in talosctl.services(control_plane[0])
            if service.name == "etcd"
        ]
        if etcd != ["Running"]:
            state = etcd[0] if etcd else "missing"
            return not_yet(
                f"etcd on {cluster.first_control_plane.hostname} is {state}",
                rows=(NO_QUORUM, GAVE_UP) if etcd else (GAVE_UP,),
            )
        result = talosctl.health(
            control_plane[0],
            control_plane=control_plane,
            workers=workers,
            timeout_s=HEALTH_ATTEMPT_S,
        )
        if result.ok:
            return holds("every check passed", "healthy")
        seen = parse_health(result.stderr)
        # Its time limits are beside the point if somebody has to uncordon a node.
        by_hand = any(hint.id == CORDONED for hint in match(seen))
        return not_yet(seen, rows=() if by_hand else (GAVE_UP,))

    return Condition("talosctl health to pass", probe)


def service_text(cluster: Cluster, service: Service) -> str:
    """Return the state of a machine's service on one line."""
    names = {str(node.address): node.hostname for node in cluster.nodes}
    node = names.get(service.node, service.node)
    text = f"{service.name} on {node} is {service.state}, health {service.health}"
    return f"{text}: {service.last}" if service.last else text


def service_rows(service: Service) -> tuple[str, ...]:
    """Return the rows of the failure catalogue that explain a service that is not well."""
    return (NO_QUORUM,) if service.name == "etcd" and service.state != "Running" else ()


def _other_version(cluster: Cluster, node: Node, version: str) -> str:
    return f"{node.hostname} runs Talos {version}, the definition says {cluster.talos_version}"


def _role(talosctl: Talosctl, node: Node) -> str:
    """Return the role that a machine reports, empty early in a boot."""
    kinds = (
        str(resource.spec.get("text", ""))
        for resource in talosctl.resources(str(node.address), "machinetype")
    )
    return next((kind for kind in kinds if kind not in ("", "unknown")), "")


def _skew(talosctl: Talosctl, node: Node, clock: Clock) -> float | None:
    """Return the skew of a machine's clock in seconds, or None if it does not report its time."""
    before = clock.now()
    theirs = talosctl.clock(str(node.address))
    return None if theirs is None else _outside(theirs, before, clock.now())


def _outside(theirs: datetime, before: datetime, after: datetime) -> float:
    """Return how far a reading lies outside the period in which it was taken, in seconds."""
    slack = timedelta(seconds=1)
    theirs = theirs.astimezone(UTC)
    if theirs < before - slack:
        return (theirs - before).total_seconds()
    return (theirs - after).total_seconds() if theirs > after + slack else 0.0


def _is_well(service: Service) -> bool:
    return service.state in ("Running", "Finished", "Skipped") and service.health in ("OK", "?", "")
