"""Read addresses and networks as they are written in talconfig.yaml."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from firstlight.definition.findings import Findings


def read_address(path: Path, field: str, text: str, findings: Findings) -> IPv4Address | None:
    """Return an IPv4 address, or `None` after adding the problem."""
    try:
        return IPv4Address(text)
    except ValueError:
        fix = "write an address like 10.25.11.11, without a prefix length"
        _add_bad_address(path, field, text, "an IPv4 address", fix, findings)
        return None


def read_interfaces(
    path: Path, field: str, link: Mapping[str, Any], findings: Findings
) -> list[IPv4Interface]:
    """Return the addresses of a link with their networks, and add a problem for each bad one."""
    interfaces = []
    for index, text in enumerate(link.get("addresses", [])):
        try:
            interfaces.append(IPv4Interface(text))
        except ValueError:
            kind = "an IPv4 address with a prefix length"
            fix = "write it like 10.25.11.11/24"
            _add_bad_address(path, f"{field}.addresses[{index}]", text, kind, fix, findings)
    return interfaces


def read_networks(
    path: Path, key: str, data: Mapping[str, Any], default: str, findings: Findings
) -> tuple[IPv4Network, ...]:
    """Return the networks of a field, or the default, and add a problem for each bad one."""
    networks = []
    for index, text in enumerate(data.get(key) or [default]):
        try:
            networks.append(IPv4Network(text))
        except ValueError:
            _add_bad_network(path, f"{key}[{index}]", text, "an IPv4 network", findings)
    return tuple(networks)


def check_routing(path: Path, field: str, part: Mapping[str, Any], findings: Findings) -> None:
    """Check that the name servers and routes of a node or link are IP addresses and networks."""
    addresses = [
        (f"{field}.nameservers[{index}]", text)
        for index, text in enumerate(part.get("nameservers", []))
    ]
    for index, route in enumerate(part.get("routes", [])):
        where = f"{field}.routes[{index}]"
        addresses += [
            (f"{where}.{key}", route[key]) for key in ("gateway", "source") if route.get(key)
        ]
        if route.get("network") and not _is_valid(ip_network, route["network"]):
            _add_bad_network(path, f"{where}.network", route["network"], "an IP network", findings)
    for name, text in addresses:
        if not _is_valid(ip_address, text):
            fix = "write it like 10.25.11.1"
            _add_bad_address(path, name, text, "an IP address", fix, findings)


def _is_valid(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


def _add_bad_address(
    path: Path, field: str, text: str, kind: str, fix: str, findings: Findings
) -> None:
    findings.add(path, field, text, rule="bad-address", message=f"this is not {kind}", fix=fix)


def _add_bad_network(path: Path, field: str, text: str, kind: str, findings: Findings) -> None:
    try:
        fix = f"host bits are set: did you mean {IPv4Network(text, strict=False)}?"
    except ValueError:
        fix = "write it like 10.42.0.0/16"
    findings.add(path, field, text, rule="bad-network", message=f"this is not {kind}", fix=fix)
