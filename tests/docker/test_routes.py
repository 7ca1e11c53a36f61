"""The containers' subnet never shadows addresses that this host or the definition uses."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from firstlight.errors import TargetError
from lab.docker.host import Route, read_routes
from lab.docker.network import require_free
from lab.docker.settings import SUBNET_VARIABLE

# Captured from /proc/net/fib_trie: loopback, one interface with 192.0.2.2/24, a default route.
CAPTURED = (Path(__file__).parent / "captured" / "fib_trie").read_text()
NODES = [IPv4Network("10.25.11.0/24"), IPv4Network("10.42.0.0/16"), IPv4Network("10.43.0.0/16")]


def test_every_route_and_address_of_the_kernel_is_read():
    seen = {(str(route.network), route.kind) for route in read_routes(CAPTURED)}

    assert {
        ("0.0.0.0/0", "UNICAST"),
        ("192.0.2.0/24", "UNICAST"),
        ("192.0.2.2/32", "LOCAL"),
        ("127.0.0.0/8", "LOCAL"),
    } <= seen


@pytest.mark.parametrize(
    ("subnet", "says"),
    [
        ("192.0.2.128/25", "overlaps 192.0.2.0/24, a route of this computer"),
        ("192.0.0.0/16", "overlaps 192.0.2.0/24"),
        ("10.25.11.0/24", "the definition itself uses 10.25.11.0/24"),
        ("10.25.0.0/16", "the definition itself uses 10.25.11.0/24"),
        ("10.42.7.0/24", "the definition itself uses 10.42.0.0/16"),
    ],
)
def test_a_subnet_that_would_shadow_addresses_is_refused(subnet: str, says: str):
    with pytest.raises(TargetError, match=says) as caught:
        require_free(IPv4Network(subnet), read_routes(CAPTURED), NODES, SUBNET_VARIABLE)

    assert "FIRSTLIGHT_DOCKER_SUBNET" in caught.value.next_step


def test_a_single_address_of_this_host_is_enough_to_refuse():
    with pytest.raises(TargetError, match=r"10\.5\.0\.77, an address of this computer"):
        require_free(
            IPv4Network("10.5.0.0/24"),
            [Route(IPv4Network("10.5.0.77/32"), "LOCAL")],
            [],
            SUBNET_VARIABLE,
        )


def test_a_free_subnet_is_accepted_although_the_default_route_covers_it():
    require_free(IPv4Network("10.5.0.0/24"), read_routes(CAPTURED), NODES, SUBNET_VARIABLE)
