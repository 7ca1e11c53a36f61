"""What a docker lab looks like from outside: its engine, its machines, its services, and whether this computer is as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from firstlight.errors import FirstlightError, TargetError
from lab.docker import own_engine
from lab.docker.containment import require_clean_host
from lab.docker.engine import Engine, ask, find_engine
from lab.docker.network import LABEL
from lab.simulated import processes, status
from lab.simulated.paths import LabPaths
from lab.simulated.status import Status

SERVICES = (own_engine.NAME, "git-server", "charts", "registry")
_LOG_S = 60.0


def observe(paths: LabPaths) -> Status:
    """Look at a lab; nothing is changed."""
    said = _said(paths)
    engine = current_engine(paths)
    machines = containers(engine, paths) if engine is not None else []
    found = {name: processes.running(paths, name) for name in SERVICES}
    wanted = set(said.get("addresses", {}).get("nodes", {}))
    running = {each["Config"]["Hostname"] for each in machines if each["State"]["Running"]}
    is_up = bool(wanted) and wanted <= running and found["git-server"] is not None
    lines = [
        f"lab of {paths.cluster}: {'up' if is_up else 'down'}",
        f"  state      {paths.state}{'' if paths.state.exists() else ' (not there)'}",
        f"  engine     {f'{engine.version}, {_whose(engine)}' if engine else 'none answers'}",
    ]
    for name, service in found.items():
        if service is not None:
            lines.append(f"  process    {name:<12} {service.pid} since {service.since}")
    ordered = sorted(machines, key=lambda one: str(one["Config"]["Hostname"]))
    lines += [
        f"  machine    {each['Config']['Hostname']:<16} {_address(each):<16} {each['State']['Status']}"
        for each in ordered
    ]
    lines.append(f"  host       {_host()}")
    return Status(is_up, tuple(lines))


def current_engine(paths: LabPaths) -> Engine | None:
    """Return the engine that a lab's machines are in, if it answers now."""
    try:
        return (
            ask(own_engine.client_environment(paths), is_ours=True)
            if own_engine.folder(paths).exists()
            else find_engine()
        )
    except FirstlightError:
        return None


def containers(engine: Engine, paths: LabPaths) -> list[dict[str, Any]]:
    """Return what the engine knows of a lab's containers."""
    return engine.inspect("container", engine.labelled("container", f"{LABEL}={paths.state}"))


def tails(paths: LabPaths, name: str, lines: int) -> Iterator[str]:
    """Yield the last lines of the lab's logs, and of its machines' consoles.

    Raises:
        TargetError: There is no such log.
    """
    engine = current_engine(paths)
    machines = {
        str(each["Config"]["Hostname"]): str(each["Id"])
        for each in (containers(engine, paths) if engine else [])
    }
    yield from with_consoles(engine, machines, paths, name, lines)


def with_consoles(
    engine: Engine | None, machines: Mapping[str, str], paths: LabPaths, name: str, lines: int
) -> Iterator[str]:
    """Yield the last lines of a lab's logs, and of its containers' consoles.

    Args:
        engine: What the containers are in, if it answers.
        machines: Per hostname the container's id.
        paths: The lab.
        name: One log or machine alone; all of them when empty.
        lines: How many lines of each.

    Raises:
        TargetError: There is no such log.
    """
    if name not in machines:
        yield from status.tails(paths, name, lines)
    for hostname, container in machines.items():
        if engine is not None and name in ("", hostname):
            yield f"==> console of {hostname}"
            result = engine.call("logs", "--tail", str(lines), container, timeout_s=_LOG_S)
            yield from (result.stdout + result.stderr).splitlines()


def _said(paths: LabPaths) -> dict[str, Any]:
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
