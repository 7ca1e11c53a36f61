"""Addresses move to loopback, and no other character of a definition changes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.errors import TargetError
from lab.simulated.addresses import endpoints, map_addresses, node_network, on_loopback

NETWORK = IPv4Network("10.25.11.0/24")


@pytest.mark.parametrize(
    ("written", "mapped"),
    [
        ("endpoint: https://10.25.11.10:6443", "endpoint: https://127.25.11.10:6443"),
        ("ipv4NativeRoutingCIDR: 10.25.11.0/24", "ipv4NativeRoutingCIDR: 127.25.11.0/24"),
        (
            "addresses: [10.25.11.11/24,10.25.11.12/24]",
            "addresses: [127.25.11.11/24,127.25.11.12/24]",
        ),
        ("# The VIP is 10.25.11.10.", "# The VIP is 127.25.11.10."),
        ('"10.25.11.255"', '"127.25.11.255"'),
    ],
)
def test_an_address_of_the_node_network_moves_to_loopback(written: str, mapped: str):
    assert map_addresses(written, [NETWORK]) == mapped


@pytest.mark.parametrize(
    "text",
    [
        "podSubnets: [10.42.0.0/16]",
        "10.25.12.11 and 10.25.110.1",
        "version: 10.25.11.4.2",
        "image: v10.25.11.4",
        "name: a10.25.11.4",
        "10.25.11.400",
        "10.25.11",
        "110.25.11.4 or 10.25.11.4x",
        "0.0.0.0/0",
    ],
)
def test_everything_else_stays_unchanged(text: str):
    assert map_addresses(text, [NETWORK]) == text


@given(st.text(alphabet=st.sampled_from("0123456789. :/-\nabc\"'"), max_size=200))
def test_a_text_without_the_network_prefix_never_changes(text: str):
    if "10.25.11." not in text:
        assert map_addresses(text, [NETWORK]) == text


@given(st.text(max_size=40), st.integers(0, 255), st.text(max_size=40))
def test_mapping_twice_equals_mapping_once(before: str, host: int, after: str):
    once = map_addresses(f"{before} 10.25.11.{host} {after}", [NETWORK])

    assert f" 127.25.11.{host} " in once
    assert map_addresses(once, [NETWORK]) == once


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_only_the_first_octet_of_an_address_changes(address: IPv4Address):
    moved = on_loopback(address)

    assert moved.is_loopback
    assert str(moved).split(".")[1:] == str(address).split(".")[1:]


def test_the_labs_services_are_on_the_first_address_of_the_node_network():
    lab = endpoints(NETWORK)

    assert lab.git_url == "ssh://git@127.25.11.1:2222/k8s-ops.git"
    assert lab.registry == "oci://127.25.11.1:5000/charts"
    assert lab.charts_url == "http://127.25.11.1:8080/charts"


def test_the_node_network_is_read_from_the_inventory(tmp_path: Path):
    inventory = tmp_path / "talconfig.yaml"
    inventory.write_text(
        "nodes:\n  - ipAddress: 10.25.11.11\n    networkInterfaces:\n"
        "      - addresses: [192.168.1.1/16, 10.25.11.11/24]\n"
    )

    assert node_network(inventory) == NETWORK


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nodes: [", "cannot read the node network"),
        ("nodes: []", "the nodes are on \\[\\]"),
        (
            "nodes: [{ipAddress: 10.25.11.11, networkInterfaces: []}]",
            "cannot read the node network",
        ),
        ("nodes: [{ipAddress: 10.25.11.11.1}]", "cannot read the node network"),
        ("- a", "cannot read the node network"),
    ],
)
def test_an_inventory_without_a_node_network_is_an_error_that_names_the_file(
    tmp_path: Path, text: str, says: str
):
    inventory = tmp_path / "talconfig.yaml"
    inventory.write_text(text)

    with pytest.raises(TargetError, match=says) as caught:
        node_network(inventory)

    assert str(inventory) in str(caught.value)
