"""Talos 1.12's documents for a machine's links, from talconfig's `networkInterfaces`.

talconfig keeps the form that Talos had before 1.12 (`machine.network.interfaces`); the documents replace it, and a patch
can name them (`kind: BondConfig`). What talhelper makes of the same data, since it knows Talos 1.12, is the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Manifest = dict[str, Any]

# How a bond's settings are called in the document; all others keep their name.
_BOND_NAMES = {
    "mode": "bondMode",
    "interfaces": "links",
    "arpIPTarget": "arpIpTargets",
    "resendIgmp": "resendIGMP",
    "tlbDynamicLb": "tlbLogicalLb",
    "peerNotifyDelay": "peerNotifDelay",
}
_SELECTORS = {
    "hardwareAddr": "mac(link.hardware_addr)",
    "permanentAddr": "mac(link.permanent_addr)",
    "busPath": "link.bus_path",
    "driver": "link.driver",
    "pciID": "link.pciid",
}
_DEFAULT_ROUTES = ("0.0.0.0/0", "::/0")
_UNSUPPORTED = ("bridge", "bridgePort", "wireguard", "ignore")
_BOND_UNSUPPORTED = ("adActorSystem", "primary")


def link_documents(interfaces: list[Mapping[str, Any]]) -> list[Manifest]:
    """Return the documents of all links of one machine, each alias before the link that uses it."""
    documents: list[Manifest] = []
    for index, interface in enumerate(interfaces):
        name = interface.get("interface", f"link{index}")
        if "deviceSelector" in interface:
            documents.append(_alias(name, interface["deviceSelector"]))
        documents += _link(name, interface)
        for vlan in interface.get("vlans", []):
            documents += _vlan(name, vlan)
    return documents


def unsupported_keys(interfaces: list[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the keys that only talhelper can turn into documents."""
    for interface in interfaces:
        yield from (key for key in _UNSUPPORTED if key in interface)
        yield from (f"bond.{key}" for key in _BOND_UNSUPPORTED if key in interface.get("bond", {}))


def _link(name: str, interface: Mapping[str, Any]) -> list[Manifest]:
    if "bond" in interface:
        bond = interface["bond"]
        members = [
            _alias(f"{name}-m{index}", selector)
            for index, selector in enumerate(bond.get("deviceSelectors", []))
        ]
        return [
            *members,
            _document("BondConfig", name, _bond(bond, members) | _common(interface)),
            *_addressing(name, interface),
        ]
    kind = "DummyLinkConfig" if interface.get("dummy") else "LinkConfig"
    return [_document(kind, name, _common(interface)), *_addressing(name, interface)]


def _bond(bond: Mapping[str, Any], members: list[Manifest]) -> Manifest:
    settings = {
        _BOND_NAMES.get(key, key): value for key, value in bond.items() if key != "deviceSelectors"
    }
    return settings | {
        "links": [*bond.get("interfaces", []), *(member["name"] for member in members)]
    }


def _vlan(parent: str, vlan: Mapping[str, Any]) -> list[Manifest]:
    name = f"{parent}.{vlan['vlanId']}"
    settings = {"vlanID": vlan["vlanId"], "parent": parent}
    return [_document("VLANConfig", name, settings | _common(vlan)), *_addressing(name, vlan)]


def _common(interface: Mapping[str, Any]) -> Manifest:
    settings: Manifest = {}
    if interface.get("mtu"):
        settings["mtu"] = interface["mtu"]
    if interface.get("addresses"):
        settings["addresses"] = [{"address": address} for address in interface["addresses"]]
    if interface.get("routes"):
        settings["routes"] = [_route(route) for route in interface["routes"]]
    return settings


def _route(route: Mapping[str, Any]) -> Manifest:
    settings = {key: route[key] for key in ("gateway", "source", "metric", "mtu") if route.get(key)}
    # The default route has no destination: Talos refuses 0.0.0.0/0 here, although it was right in machine.network.
    if route.get("network") and route["network"] not in _DEFAULT_ROUTES:
        settings["destination"] = route["network"]
    return settings


def _addressing(name: str, interface: Mapping[str, Any]) -> list[Manifest]:
    documents = []
    if interface.get("dhcp"):
        options = interface.get("dhcpOptions", {})
        metric = {"routeMetric": options["routeMetric"]} if options.get("routeMetric") else {}
        if options.get("ipv4", True):
            documents.append(_document("DHCPv4Config", name, metric))
        if options.get("ipv6"):
            documents.append(_document("DHCPv6Config", name, metric))
    if "vip" in interface:
        documents.append(_document("Layer2VIPConfig", interface["vip"]["ip"], {"link": name}))
    return documents


def _alias(name: str, selector: Mapping[str, Any]) -> Manifest:
    terms = [
        f'glob("{selector[key]}", {attribute})'
        for key, attribute in _SELECTORS.items()
        if selector.get(key)
    ]
    if "physical" in selector:
        terms.append("link.type == 1" if selector["physical"] else "link.type != 1")
    return _document("LinkAliasConfig", name, {"selector": {"match": " && ".join(terms)}})


def _document(kind: str, name: str, settings: Manifest) -> Manifest:
    return {"apiVersion": "v1alpha1", "kind": kind, "name": name, **settings}
