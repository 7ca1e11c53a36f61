"""This computer's route to the pods: there once, never in place of another one, and only by root."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from firstlight.errors import TargetError
from lab.docker.host import Host
from lab.docker.network import gateway_of, route_pods
from lab.docker.routes import Route

PODS = IPv4Network("10.42.0.0/16")
MACHINE = IPv4Address("10.5.0.11")


def test_this_computer_has_the_first_address_of_the_network():
    assert gateway_of(IPv4Network("10.5.0.0/24")) == IPv4Address("10.5.0.1")


def test_another_route_to_those_addresses_is_never_replaced():
    host = Host(is_root=True, is_restricted=False, cgroup_version=1, routes=(Route(IPv4Network("10.40.0.0/13"), "UNICAST"),))

    with pytest.raises(TargetError, match=r"it overlaps 10\.40\.0\.0/13"):
        route_pods(PODS, MACHINE, host)


def test_without_root_the_command_is_said():
    host = Host(is_root=False, is_restricted=False, cgroup_version=2, routes=())

    with pytest.raises(TargetError, match="only root can") as caught:
        route_pods(PODS, MACHINE, host)

    assert caught.value.next_step == "sudo ip route replace 10.42.0.0/16 via 10.5.0.11, then again"
