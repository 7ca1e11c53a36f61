"""Addresses of the definition, moved to loopback: 10.25.11.12 becomes 127.25.11.12, and nothing else changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network, NetmaskValueError
from pathlib import Path
from typing import Any

import yaml

from firstlight.errors import TargetError

GIT_PORT = 2222
REGISTRY_PORT = 5000
CHARTS_PORT = 8080
REPOSITORY = "k8s-ops.git"

_LOOPBACK_OCTET = "127"
# Four numbers that are not part of a longer word, number or version.
_ADDRESS = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a lab's services are reached: all of them on the first address of the node network.

    Attributes:
        address: That address, on loopback; on another lab, the address at which its machines reach this host.
        registry_port: Where the OCI registry of the charts listens.
        serves_charts: Whether the charts are the lab's; else they come from where the definition says.
    """

    address: IPv4Address
    registry_port: int = REGISTRY_PORT
    serves_charts: bool = True

    @property
    def git_url(self) -> str:
        """The Git remote."""
        return f"ssh://git@{self.address}:{GIT_PORT}/{REPOSITORY}"

    @property
    def known_host(self) -> str:
        """The Git remote's name in a known_hosts file."""
        return f"[{self.address}]:{GIT_PORT}"

    @property
    def charts_url(self) -> str:
        """The Helm repository."""
        return f"http://{self.address}:{CHARTS_PORT}/charts"

    @property
    def registry(self) -> str:
        """The OCI registry's charts."""
        return f"oci://{self.address}:{self.registry_port}/charts"


def on_loopback(address: IPv4Address) -> IPv4Address:
    """Return the lab's counterpart of a machine's address."""
    return IPv4Address(f"{_LOOPBACK_OCTET}.{str(address).partition('.')[2]}")


def endpoints(network: IPv4Network) -> Endpoints:
    """Return where the services of the lab on a node network are."""
    return Endpoints(on_loopback(network.network_address + 1))


def map_addresses(
    text: str,
    networks: Sequence[IPv4Network],
    move: Callable[[IPv4Address], IPv4Address] = on_loopback,
) -> str:
    """Return a text with every address of these networks moved, to loopback unless said otherwise; a text without one comes back as it was."""

    def replace(match: re.Match[str]) -> str:
        try:
            address = IPv4Address(match.group())
        except AddressValueError:
            return match.group()
        if not any(address in network for network in networks):
            return match.group()
        return str(move(address))

    return _ADDRESS.sub(replace, text)


def node_network(talconfig: Path) -> IPv4Network:
    """Return the network that holds the nodes of an inventory.

    Raises:
        TargetError: The file does not say; the definition's own checks tell more.
    """
    try:
        data = yaml.safe_load(talconfig.read_text(encoding="utf-8"))
        networks = {_interface(node).network for node in data["nodes"]}
    except (
        OSError,
        yaml.YAMLError,
        AddressValueError,
        NetmaskValueError,
        KeyError,
        TypeError,
        ValueError,
        StopIteration,
    ) as error:
        raise TargetError(
            f"cannot read the node network of {talconfig}: {type(error).__name__}: {error}",
            next_step="write it as clusters/infra/talos/talconfig.yaml is written",
        ) from error
    if len(networks) != 1:
        raise TargetError(
            f"cannot tell the node network of {talconfig}: the nodes are on {sorted(map(str, networks))}",
            next_step="put all nodes on one network",
        )
    return networks.pop()


def _interface(node: dict[str, Any]) -> IPv4Interface:
    address = IPv4Address(node["ipAddress"])
    written = [entry for link in node["networkInterfaces"] for entry in link.get("addresses", [])]
    return next(interface for interface in map(IPv4Interface, written) if interface.ip == address)
