"""Point a definition at the lab: machine addresses move to loopback, Flux sources to lab services.

10.25.11.12 becomes 127.25.11.12. In Flux's source objects only the values that must differ are
replaced; every other character stays.
"""

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
    """Addresses of a lab's services, all on the first address of the node network.

    Attributes:
        address: That address on loopback; in the other labs, the address at which the machines
            reach this host.
        registry_port: Port of the OCI registry that serves the charts.
        serves_charts: Whether the lab serves the charts. If not, they come from where the
            definition says.
    """

    address: IPv4Address
    registry_port: int = REGISTRY_PORT
    serves_charts: bool = True

    @property
    def git_url(self) -> str:
        """URL of the Git remote."""
        return f"ssh://git@{self.address}:{GIT_PORT}/{REPOSITORY}"

    @property
    def known_host(self) -> str:
        """Name of the Git remote in a known_hosts file."""
        return f"[{self.address}]:{GIT_PORT}"

    @property
    def charts_url(self) -> str:
        """URL of the Helm repository."""
        return f"http://{self.address}:{CHARTS_PORT}/charts"

    @property
    def registry(self) -> str:
        """URL of the charts in the OCI registry."""
        return f"oci://{self.address}:{self.registry_port}/charts"


def on_loopback(address: IPv4Address) -> IPv4Address:
    """Return the loopback address that stands for a machine's address."""
    return IPv4Address(f"{_LOOPBACK_OCTET}.{str(address).partition('.')[2]}")


def endpoints(network: IPv4Network) -> Endpoints:
    """Return the services of the lab on a node network."""
    return Endpoints(on_loopback(network.network_address + 1))


def map_addresses(
    text: str,
    networks: Sequence[IPv4Network],
    move: Callable[[IPv4Address], IPv4Address] = on_loopback,
) -> str:
    """Return a text in which every address of these networks is moved, by default to loopback.

    A text without such an address is returned unchanged.
    """

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
    """Return the network that holds all nodes of an inventory.

    Raises:
        TargetError: The file does not define exactly one. The definition's own checks report
            details.
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
            next_step="follow the format of clusters/infra/talos/talconfig.yaml",
        ) from error
    if len(networks) != 1:
        raise TargetError(
            f"cannot read the node network of {talconfig}: "
            f"the nodes are on {sorted(map(str, networks))}",
            next_step="put all nodes on one network",
        )
    return networks.pop()


def _interface(node: dict[str, Any]) -> IPv4Interface:
    address = IPv4Address(node["ipAddress"])
    written = [entry for link in node["networkInterfaces"] for entry in link.get("addresses", [])]
    return next(interface for interface in map(IPv4Interface, written) if interface.ip == address)


_KINDS = ("GitRepository", "HelmRepository", "OCIRepository")


def point_at_lab(text: str, lab: Endpoints, git_urls: frozenset[str]) -> str:
    """Return a YAML text with its sources pointed at the lab.

    Args:
        text: The file as it is in the checkout.
        lab: The lab's services.
        git_urls: The remotes that the lab stands in for. Other repositories keep their address.
    """
    if not any(f"kind: {kind}" in text for kind in _KINDS):
        return text
    edits = sorted(_edits(text, lab, git_urls), reverse=True)
    for start, end, new in edits:
        text = text[:start] + new + text[end:]
    return text


def git_urls(texts: Iterator[str]) -> frozenset[str]:
    """Return the URLs of all GitRepository objects in these YAML texts."""
    found = set()
    for text in texts:
        if "kind: GitRepository" in text:
            for kind, spec in _sources(text):
                url = _value(spec, "url")
                if kind == "GitRepository" and url is not None:
                    found.add(str(url.value))
    return frozenset(found)


def chart_name(url: str) -> str:
    """Return the chart name at the end of an OCI URL."""
    return url.rstrip("/").rpartition("/")[2]


def lab_url(kind: str, url: str, lab: Endpoints) -> str:
    """Return the URL in the lab that stands for a chart source's URL."""
    if kind == "OCIRepository":
        return f"{lab.registry}/{chart_name(url)}"
    return lab.registry if url.startswith("oci://") else lab.charts_url


def is_yaml(path: Path) -> bool:
    """Report whether a file is plain YAML. Templates are not."""
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
        # Only OCI sources have this field. A Helm repository without TLS has an http:// URL.
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
