"""What a docker lab reports: `lab.json` for the target, status and logs for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from firstlight.definition.model import Cluster
from firstlight.errors import FirstlightError, TargetError
from firstlight.toolbox import load_pins
from lab.docker import mirror as image_mirror
from lab.docker import private_engine
from lab.docker.containment import require_clean_host
from lab.docker.engine import Engine, ask, find_engine
from lab.docker.mirror import Mirror
from lab.docker.network import LABEL
from lab.docker.settings import Settings
from lab.simulated import description, processes, status
from lab.simulated.addresses import Endpoints
from lab.simulated.paths import LabPaths
from lab.simulated.processes import Daemon
from lab.simulated.status import Status

CAPABILITIES = ("talos-api", "running-pods", "datapath", "helm-controller", "lasting")
FROM_REGISTRIES = ("cert-manager",)
"""Capabilities that need images which cannot be built here."""

_CONTAINERS = {
    "name": "machines in containers",
    "stands_for": "machines of one's own hardware",
    "cannot_show": "that disks, bond and LACP, time synchronisation, upgrades and resets work: "
    "the machines share this computer's kernel and clock",
}
_OF_EVERY_LAB = ("Git server", "op stand-in", "lab secrets")
_OPTIONAL = (private_engine.NAME, "charts", "registry")
"""Services that not every docker lab has."""

_LOG_S = 60.0


def write_description(
    paths: LabPaths,
    cluster: Cluster,
    lab: Endpoints,
    settings: Settings,
    recipient: str,
    engine: Engine,
    mirror: Mirror | None,
) -> None:
    """Write `lab.json` if its content changed."""
    content = describe(paths, cluster, lab, settings.subnet, recipient, engine) | {
        "talosconfig": str(cluster.talosconfig),
        "engine": {"version": engine.version, "own": engine.is_ours},
        "nodes": settings.nodes,
        "images": "mirror" if mirror is not None else "registries",
        "stand_ins": with_common_stand_ins(_CONTAINERS, *(mirror.stand_ins() if mirror else [])),
        "capabilities": [*CAPABILITIES, *(() if mirror else FROM_REGISTRIES)],
        "connectivity": image_mirror.connectivity(
            load_pins(paths.checkout / "tools" / "versions.toml")
        )
        if mirror
        else {},
    }
    description.save(paths, content)


def describe(
    paths: LabPaths, cluster: Cluster, lab: Endpoints, subnet: str, recipient: str, engine: Engine
) -> dict[str, Any]:
    """Return the part of `lab.json` that every lab in containers has."""
    return description.common_content(paths, lab, recipient) | {
        "engine": {"version": engine.version},
        "subnet": subnet,
        "addresses": {
            "lab": str(lab.address),
            "vip": str(cluster.vip),
            "nodes": {node.hostname: str(node.address) for node in cluster.nodes},
        },
        "environment": description.environment(paths, paths.cluster, lab, subnet),
    }


def with_common_stand_ins(*own: Mapping[str, str]) -> list[Mapping[str, str]]:
    """Return these stand-ins, followed by the ones that every lab has."""
    return [*own, *(each for each in description.STAND_INS if each["name"] in _OF_EVERY_LAB)]


def observe(paths: LabPaths) -> Status:
    """Check a lab without changing anything."""
    engine = current_engine(paths)
    machines = containers(engine, paths) if engine is not None else []
    git = processes.running(paths, "git-server")
    others = {name: processes.running(paths, name) for name in _OPTIONAL}
    wanted = set(_description(paths).get("addresses", {}).get("nodes", {}))
    running = {each["Config"]["Hostname"] for each in machines if each["State"]["Running"]}
    is_up = bool(wanted) and wanted <= running and git is not None
    ordered = sorted(machines, key=lambda one: str(one["Config"]["Hostname"]))
    lines = [
        *heading(
            paths,
            engine,
            {"git-server": git, **{name: found for name, found in others.items() if found}},
            is_up=is_up,
        ),
        *(
            f"  machine    {each['Config']['Hostname']:<16} {_address(each):<16} "
            f"{each['State']['Status']}"
            for each in ordered
        ),
        f"  host       {_host()}",
    ]
    return Status(is_up, tuple(lines))


def heading(
    paths: LabPaths, engine: Engine | None, services: Mapping[str, Daemon | None], *, is_up: bool
) -> Sequence[str]:
    """Return the first lines of the status of any lab in containers."""
    return [
        f"lab of {paths.cluster}: {'up' if is_up else 'down'}",
        f"  state      {paths.state}{'' if paths.state.exists() else ' (does not exist)'}",
        f"  owner      {description.owner_line(paths)}",
        f"  engine     {f'{engine.version}, {_whose(engine)}' if engine else 'not reachable'}",
        *(
            f"  process    {name:<12} "
            f"{f'{found.pid} since {found.since}' if found else 'not running'}"
            for name, found in services.items()
        ),
    ]


def current_engine(paths: LabPaths) -> Engine | None:
    """Return the engine that holds a lab's containers, if it answers now."""
    try:
        return (
            ask(private_engine.client_environment(paths), is_ours=True)
            if private_engine.folder(paths).exists()
            else find_engine()
        )
    except FirstlightError:
        return None


def containers(engine: Engine, paths: LabPaths) -> list[dict[str, Any]]:
    """Return the inspection of each of a lab's containers."""
    return engine.containers(f"{LABEL}={paths.state}")


def tails(paths: LabPaths, name: str, lines: int) -> Iterator[str]:
    """Yield the last lines of the lab's logs and its machines' consoles.

    Raises:
        TargetError: There is no such log.
    """
    engine = current_engine(paths)
    yield from with_consoles(
        engine, containers(engine, paths) if engine else [], paths, name, lines
    )


def with_consoles(
    engine: Engine | None,
    found: Sequence[Mapping[str, Any]],
    paths: LabPaths,
    name: str,
    lines: int,
) -> Iterator[str]:
    """Yield the last lines of a lab's logs and its containers' consoles.

    Args:
        engine: The engine that holds the containers, if it answers.
        found: The inspection of each container.
        paths: The lab.
        name: A single log or machine; empty for all.
        lines: The number of lines of each.

    Raises:
        TargetError: There is no such log.
    """
    machines = {str(each["Config"]["Hostname"]): str(each["Id"]) for each in found}
    if name not in machines:
        yield from status.tails(paths, name, lines)
    for hostname, container in machines.items():
        if engine is not None and name in ("", hostname):
            yield f"==> console of {hostname}"
            result = engine.call("logs", "--tail", str(lines), container, timeout_s=_LOG_S)
            yield from (result.stdout + result.stderr).splitlines()


def _description(paths: LabPaths) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(paths.description.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _whose(engine: Engine) -> str:
    return "the lab's own" if engine.is_ours else "this computer's"


def _address(container: dict[str, Any]) -> str:
    networks = container["NetworkSettings"]["Networks"].values()
    return next((str(each["IPAddress"]) for each in networks if each.get("IPAddress")), "-")


def _host() -> str:
    try:
        return require_clean_host()
    except TargetError as error:
        return error.summary
