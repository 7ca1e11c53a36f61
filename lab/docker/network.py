"""The bridge network that the node containers are on."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from firstlight.errors import TargetError, ToolMissing
from firstlight.tools.process import run
from lab.docker.engine import Engine
from lab.docker.host import Host, read_host

LABEL = "firstlight.lab"
"""Every container, network and volume of a lab carries it; its value is the lab's state folder."""

_ROUTE_S = 10.0


def ensure(
    engine: Engine,
    name: str,
    label: str,
    subnet: IPv4Network,
    mtu: int,
    *,
    ended_by: str,
    chosen_from: IPv4Network | None = None,
) -> bool:
    """Have the network, with fixed addresses and the definition's MTU; report whether it had to be made.

    Args:
        engine: Where.
        name: What it is called.
        label: Whose it is.
        subnet: Its addresses.
        mtu: Its largest packet.
        ended_by: The command that removes it, for people.
        chosen_from: Those that the engine may give to containers that name none.

    Raises:
        TargetError: A network of that name is somebody else's, or the engine's bridge is not on this computer.
        ToolFailed: The engine refuses.
    """
    gateway = gateway_of(subnet)
    found = engine.inspect("network", [name])
    if found:
        _require_ours(found[0], name, label, subnet, ended_by)
    else:
        words = [
            "network",
            "create",
            "--driver",
            "bridge",
            "--subnet",
            str(subnet),
            "--gateway",
            str(gateway),
            "--label",
            f"{LABEL}={label}",
        ]
        words += ["--ip-range", str(chosen_from)] if chosen_from is not None else []
        words += ["--opt", f"com.docker.network.driver.mtu={mtu}", name]
        engine.call(*words).raise_on_failure(f"make the network {subnet} of the node containers")
    if not is_ours(gateway):
        engine.call("network", "rm", name)
        raise TargetError(
            f"cannot reach node containers from here: the engine's bridge address {gateway} is not on this computer",
            next_step="use an engine of this very computer: one inside a virtual machine (Docker Desktop), or a remote one, hides its containers",
        )
    return not found


def gateway_of(subnet: IPv4Network) -> IPv4Address:
    """Return this computer's own address on the network: its first, as the definition has the router."""
    return subnet.network_address + 1


def is_ours(address: IPv4Address) -> bool:
    """Whether an address is one of this computer's."""
    return any(
        route.kind == "LOCAL" and route.network == IPv4Network(address)
        for route in read_host().routes
    )


def _require_ours(
    found: dict[str, object], name: str, label: str, subnet: IPv4Network, ended_by: str
) -> None:
    labels, ipam = found.get("Labels") or {}, found.get("IPAM") or {}
    owner = labels.get(LABEL, "") if isinstance(labels, dict) else ""
    if owner != label:
        raise TargetError(
            f"cannot use the network {name}: it belongs to {owner or 'something else'}",
            next_step=f"end the lab that it belongs to, or `docker network rm {name}`",
        )
    subnets = (
        [str(entry.get("Subnet")) for entry in ipam.get("Config") or []]
        if isinstance(ipam, dict)
        else []
    )
    if subnets != [str(subnet)]:
        raise TargetError(
            f"cannot use the network {name}: it is {', '.join(subnets)}, not {subnet}",
            next_step=f"{ended_by}, then again",
        )


def require_pods_free(pods: IPv4Network, host: Host) -> None:
    """Make sure that the pods' addresses mean nothing else on this computer.

    Raises:
        TargetError: They do.
    """
    for route in host.routes:
        if route.network.prefixlen and route.network.overlaps(pods):
            raise TargetError(
                f"cannot give this computer a route to the pods ({pods}): it overlaps {route}",
                next_step="end what has that network: another lab (./task docker:down, ./task kind:down), or another Kubernetes on this computer",
            )


def route_pods(pods: IPv4Network, via: IPv4Address, host: Host) -> bool:
    """Have a route to the pods by way of a machine, as a site's router has one; report whether it had to be made.

    Pods keep their own addresses towards the node network, this computer included: without the route, what the Git server answers
    them goes elsewhere. The kernel takes the route away with the bridge.

    Raises:
        TargetError: Only root may do it, and sudo wants a password; or the pods' network means something else here.
    """
    if _leads(pods, via):
        return False
    require_pods_free(pods, host)
    words = ["ip", "route", "add", str(pods), "via", str(via)]
    if host.is_root:
        run(words, timeout_s=_ROUTE_S).raise_on_failure(
            f"give this computer a route to the pods ({pods})"
        )
        return True
    try:
        made = run(["sudo", "--non-interactive", *words], timeout_s=_ROUTE_S).ok
    except ToolMissing:
        made = False
    if not made:
        raise TargetError(
            f"cannot give this computer a route to the pods ({pods} via {via}): only root can, and sudo does not let us without a password",
            next_step=f"sudo {' '.join(words)}, then again",
        )
    return True


def _leads(pods: IPv4Network, via: IPv4Address) -> bool:
    shown = run(["ip", "-4", "route", "show", str(pods)], timeout_s=_ROUTE_S)
    return f"via {via} " in shown.stdout
