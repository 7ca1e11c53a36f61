"""The bridge network of the node containers, and this host's route to the pods behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network

from firstlight.definition.model import Cluster
from firstlight.errors import TargetError, ToolMissing
from firstlight.process import run
from lab.docker.engine import Engine
from lab.docker.host import Host, Route, read_host
from lab.simulated.paths import LabPaths

LABEL = "firstlight.lab"
"""Set on every container, network and volume of a lab; its value is the lab's state folder."""

_DEFAULT = IPv4Network("0.0.0.0/0")
_LOOPBACK = IPv4Network("127.0.0.0/8")
_MTU = 1500
_ROUTE_S = 10.0


def ensure_for(
    engine: Engine,
    name: str,
    paths: LabPaths,
    cluster: Cluster,
    subnet: IPv4Network,
    *,
    variable: str,
    chosen_from: IPv4Network | None = None,
) -> str:
    """Ensure that the network of a lab exists; describe it if it was created, else return "".

    Args:
        engine: The engine to create it in.
        name: The network's name.
        paths: The lab.
        cluster: The definition, whose networks and MTU decide.
        subnet: The network's addresses.
        variable: The environment variable that selects the subnet.
        chosen_from: The addresses that the engine may assign to containers that ask for none.

    Raises:
        TargetError: The subnet or the pods' addresses mean something else here, the network
            belongs to somebody else, or the engine's bridge is not on this host.
        ToolFailed: The engine refuses.
    """
    if not engine.inspect("network", [name]):
        host = read_host()
        require_free(
            subnet,
            host.routes,
            [cluster.node_network, *cluster.pod_networks, *cluster.service_networks],
            variable,
        )
        for pods in cluster.pod_networks:
            require_pods_free(pods, host)
    mtu = max((node.mtu for node in cluster.nodes), default=0) or _MTU
    created = ensure(
        engine,
        name,
        str(paths.state),
        subnet,
        mtu,
        ended_by=f"./task {paths.target}:down CLUSTER={cluster.name}",
        chosen_from=chosen_from,
    )
    return f"{subnet}, MTU {mtu}" if created else ""


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
    """Ensure that the network exists; report whether it was created.

    Args:
        engine: The engine to create it in.
        name: The network's name.
        label: The lab that owns it.
        subnet: The network's addresses.
        mtu: The largest packet in bytes.
        ended_by: The command that removes it, for people.
        chosen_from: The addresses that the engine may assign to containers that ask for none.

    Raises:
        TargetError: A network of that name belongs to somebody else, or the engine's bridge is not
            on this host.
        ToolFailed: The engine refuses.
    """
    gateway = gateway_of(subnet)
    found = engine.inspect("network", [name])
    if found:
        _require_ours(found[0], name, label, subnet, ended_by)
    else:
        words = ["network", "create", "--driver", "bridge", "--subnet", str(subnet)]
        words += ["--gateway", str(gateway), "--label", f"{LABEL}={label}"]
        words += ["--ip-range", str(chosen_from)] if chosen_from is not None else []
        words += ["--opt", f"com.docker.network.driver.mtu={mtu}", name]
        engine.call(*words).raise_on_failure(f"create the network {subnet} of the node containers")
    if not read_host().owns(gateway):
        engine.call("network", "rm", name)
        raise TargetError(
            f"cannot reach node containers from here: the engine's bridge address {gateway} is not "
            "on this computer",
            next_step="use an engine on this very computer: one inside a virtual machine (Docker "
            "Desktop) or a remote one hides its containers",
        )
    return not found


def gateway_of(subnet: IPv4Network) -> IPv4Address:
    """Return this host's address on the network: the first, the router's in a definition."""
    return subnet.network_address + 1


def require_free(
    subnet: IPv4Network, routes: Iterable[Route], definition: Iterable[IPv4Network], variable: str
) -> None:
    """Make sure that the subnet hides no address that this host or the definition already uses.

    Args:
        subnet: The network for the node containers.
        routes: What this host already reaches.
        definition: The definition's networks: its real machines, its pods and its services.
        variable: The environment variable that selects another subnet.

    Raises:
        TargetError: An address would have two meanings; real nodes must never be shadowed.
    """
    other = f"choose a free network: {variable}=10.99.0.0/24"
    for network in definition:
        if subnet.overlaps(network):
            raise TargetError(
                f"cannot use {subnet} for node containers: the definition itself uses {network}",
                next_step=other,
            )
    for route in routes:
        if (
            route.network != _DEFAULT
            and not route.network.overlaps(_LOOPBACK)
            and subnet.overlaps(route.network)
        ):
            raise TargetError(
                f"cannot use {subnet} for node containers: it overlaps {route}", next_step=other
            )


def require_pods_free(pods: IPv4Network, host: Host) -> None:
    """Make sure that the pods' addresses mean nothing else on this host.

    Raises:
        TargetError: They do.
    """
    for route in host.routes:
        if route.network.prefixlen and route.network.overlaps(pods):
            raise TargetError(
                f"cannot give this computer a route to the pods ({pods}): it overlaps {route}",
                next_step="end what uses that network: another lab "
                "(./task docker:down CLUSTER=<cluster>, ./task kind:down CLUSTER=<cluster>), "
                "or another Kubernetes on this computer",
            )


def route_all_pods(
    pod_networks: Iterable[IPv4Network], via: IPv4Address, hostname: str, say: Callable[[str], None]
) -> None:
    """Route every pod network through this machine, and say which routes were added.

    Raises:
        TargetError: See `route_pods`.
    """
    for pods in pod_networks:
        if route_pods(pods, via, read_host()):
            say(f"network: this computer reaches pods ({pods}) through {hostname}")


def route_pods(pods: IPv4Network, via: IPv4Address, host: Host) -> bool:
    """Route the pods through a machine, as a site's router does; report whether a route was added.

    Pods keep their own addresses when they talk to the node network, including this host: without
    the route, replies of the Git server go elsewhere. The kernel drops the route with the bridge.

    Raises:
        TargetError: Only root may add the route and sudo asks for a password, or this computer
            already uses the pods' network for something else.
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
        added = run(["sudo", "--non-interactive", *words], timeout_s=_ROUTE_S).ok
    except ToolMissing:
        added = False
    if not added:
        raise TargetError(
            f"cannot give this computer a route to the pods ({pods} via {via}): only root can, and "
            "passwordless sudo is not available",
            next_step=f"sudo {' '.join(words)}, then try again",
        )
    return True


def _require_ours(
    found: dict[str, object], name: str, label: str, subnet: IPv4Network, ended_by: str
) -> None:
    labels, ipam = found.get("Labels") or {}, found.get("IPAM") or {}
    owner = labels.get(LABEL, "") if isinstance(labels, dict) else ""
    if owner != label:
        raise TargetError(
            f"cannot use the network {name}: it belongs to {owner or 'something else'}",
            next_step=f"end the lab that owns it, or run `docker network rm {name}`",
        )
    subnets = (
        [str(entry.get("Subnet")) for entry in ipam.get("Config") or []]
        if isinstance(ipam, dict)
        else []
    )
    if subnets != [str(subnet)]:
        raise TargetError(
            f"cannot use the network {name}: it is {', '.join(subnets)}, not {subnet}",
            next_step=f"{ended_by}, then try again",
        )


def _leads(pods: IPv4Network, via: IPv4Address) -> bool:
    shown = run(["ip", "-4", "route", "show", str(pods)], timeout_s=_ROUTE_S)
    return f"via {via} " in shown.stdout
