"""Addresses of the definition, moved to loopback: 10.25.11.12 becomes 127.25.11.12, and nothing else changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
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


_KINDS = ("GitRepository", "HelmRepository", "OCIRepository")


def point_at_lab(text: str, lab: Endpoints, git_urls: frozenset[str]) -> str:
    """Return a YAML text whose sources are the lab's.

    Args:
        text: The file as the checkout has it.
        lab: Where the lab's services are.
        git_urls: Remotes that the lab plays; other repositories keep their address.
    """
    if not any(f"kind: {kind}" in text for kind in _KINDS):
        return text
    edits = sorted(_edits(text, lab, git_urls), reverse=True)
    for start, end, new in edits:
        text = text[:start] + new + text[end:]
    return text


def git_urls(texts: Iterator[str]) -> frozenset[str]:
    """Return the addresses of every GitRepository in these YAML texts."""
    found = set()
    for text in texts:
        if "kind: GitRepository" in text:
            for kind, spec in _sources(text):
                url = _value(spec, "url")
                if kind == "GitRepository" and url is not None:
                    found.add(str(url.value))
    return frozenset(found)


def chart_name(url: str) -> str:
    """Return the chart that an OCI address ends with."""
    return url.rstrip("/").rpartition("/")[2]


def lab_url(kind: str, url: str, lab: Endpoints) -> str:
    """Return the lab's counterpart of a chart source's address."""
    if kind == "OCIRepository":
        return f"{lab.registry}/{chart_name(url)}"
    return lab.registry if url.startswith("oci://") else lab.charts_url


def is_yaml(path: Path) -> bool:
    """Whether a file holds YAML as it stands; templates do not."""
    return path.suffix == ".yaml"


def _edits(text: str, lab: Endpoints, git_urls: frozenset[str]) -> Iterator[tuple[int, int, str]]:
    for kind, spec in _sources(text):
        url = _value(spec, "url")
        if url is None:
            continue
        if kind == "GitRepository":
            if url.value in git_urls:
                yield url.start_mark.index, url.end_mark.index, lab.git_url
            continue
        if not lab.serves_charts:
            continue
        new = lab_url(kind, url.value, lab)
        # Only OCI knows the field; a Helm repository says by http:// that it has no TLS.
        needs_insecure = new.startswith("oci://")
        insecure = _value(spec, "insecure")
        if needs_insecure and insecure is not None:
            yield insecure.start_mark.index, insecure.end_mark.index, "true"
        elif needs_insecure:
            new += "\n" + " " * _column(spec, "url") + "insecure: true"
        yield url.start_mark.index, url.end_mark.index, new


def _sources(text: str) -> Iterator[tuple[str, yaml.MappingNode]]:
    for document in yaml.compose_all(text, yaml.SafeLoader):
        if not isinstance(document, yaml.MappingNode):
            continue
        kind = _value(document, "kind")
        spec = next((value for key, value in document.value if key.value == "spec"), None)
        if kind is not None and kind.value in _KINDS and isinstance(spec, yaml.MappingNode):
            yield str(kind.value), spec


def _value(mapping: yaml.MappingNode, name: str) -> yaml.ScalarNode | None:
    found = next((value for key, value in mapping.value if key.value == name), None)
    return found if isinstance(found, yaml.ScalarNode) else None


def _column(mapping: yaml.MappingNode, name: str) -> int:
    return next(int(key.start_mark.column) for key, _ in mapping.value if key.value == name)
