"""How versions, names, addresses and networks are written: reading them from text, and noting what is written wrongly."""

from __future__ import annotations

import re
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    ip_address,
    ip_network,
)
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from firstlight.definition.findings import Findings

_VERSION = re.compile(r"v\d+\.\d+\.\d+(-[0-9A-Za-z][0-9A-Za-z.-]*)?")
_HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ENDPOINT = re.compile(r"https://(?P<host>[^:/\s]+):(?P<port>\d{1,5})")
_PORT_MAX = 65_535


def read_interfaces(
    path: Path, field: str, entry: Mapping[str, Any], findings: Findings
) -> list[IPv4Interface]:
    """Return the addresses of a link, each with its network; what is no address is noted."""
    interfaces = []
    for index, text in enumerate(entry.get("addresses", [])):
        try:
            interfaces.append(IPv4Interface(text))
        except ValueError:
            findings.add(
                path,
                f"{field}.addresses[{index}]",
                text,
                rule="bad-address",
                message="this is no IPv4 address with a prefix length",
                fix="write it like 10.25.11.11/24",
            )
    return interfaces


def read_address(path: Path, field: str, text: str, findings: Findings) -> IPv4Address | None:
    """Return an address, or nothing with the reason noted."""
    try:
        return IPv4Address(text)
    except AddressValueError:
        findings.add(
            path,
            field,
            text,
            rule="bad-address",
            message="this is no IPv4 address",
            fix="write it like 10.25.11.11",
        )
        return None


def check_routing(path: Path, field: str, part: Mapping[str, Any], findings: Findings) -> None:
    """Note name servers and routes whose addresses cannot be read."""
    addresses = [
        (f"{field}.nameservers[{index}]", text)
        for index, text in enumerate(part.get("nameservers", []))
    ]
    for index, route in enumerate(part.get("routes", [])):
        addresses += [
            (f"{field}.routes[{index}].{key}", route[key])
            for key in ("gateway", "source")
            if route.get(key)
        ]
        if route.get("network") and not _readable(ip_network, route["network"]):
            name = f"{field}.routes[{index}].network"
            findings.add(
                path,
                name,
                route["network"],
                rule="bad-network",
                message="this is no network",
                fix=_network_fix(route["network"]),
            )
    for name, text in addresses:
        if not _readable(ip_address, text):
            findings.add(
                path,
                name,
                text,
                rule="bad-address",
                message="this is no address",
                fix="write it like 10.25.11.1",
            )


def _readable(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


def check_hostname(path: Path, field: str, text: str, findings: Findings) -> None:
    """Note a name that Kubernetes would refuse for a node."""
    if not _HOSTNAME.fullmatch(text):
        findings.add(
            path,
            field,
            text,
            rule="bad-hostname",
            message="this is no valid host name for a Kubernetes node",
            fix="use 1 to 63 lower-case letters, digits and hyphens, beginning and ending with a letter or digit",
        )


def check_version(path: Path, field: str, text: str, findings: Findings) -> None:
    """Note what is no full semantic version with a leading v."""
    if _VERSION.fullmatch(text):
        return
    if _VERSION.fullmatch(f"v{text}"):
        findings.add(
            path,
            field,
            text,
            rule="version-without-v",
            message="the version lacks its leading v",
            fix=f"write v{text}",
        )
    else:
        findings.add(
            path,
            field,
            text,
            rule="bad-version",
            message="this is no full semantic version",
            fix="write it like v1.12.0: v, major, minor, patch",
        )


def read_endpoint_host(path: Path, text: str, findings: Findings) -> str:
    """Return the host of the Kubernetes API's URL, empty with the reason noted."""
    match = _ENDPOINT.fullmatch(text)
    if match is None or not 0 < int(match["port"]) <= _PORT_MAX:
        findings.add(
            path,
            "endpoint",
            text,
            rule="bad-endpoint",
            message="the endpoint is no https URL with a port",
            fix="write it like https://10.25.11.10:6443",
        )
        return ""
    return match["host"]


def read_networks(
    path: Path, key: str, data: Mapping[str, Any], default: str, findings: Findings
) -> tuple[IPv4Network, ...]:
    """Return the networks of a field, or the default; what is no network is noted."""
    networks = []
    for index, text in enumerate(data.get(key) or [default]):
        try:
            networks.append(IPv4Network(text))
        except ValueError:
            findings.add(
                path,
                f"{key}[{index}]",
                text,
                rule="bad-network",
                message="this is no IPv4 network",
                fix=_network_fix(text),
            )
    return tuple(networks)


def _network_fix(text: str) -> str:
    try:
        return f"host bits are set: did you mean {IPv4Network(text, strict=False)}?"
    except ValueError:
        return "write it like 10.42.0.0/16"
