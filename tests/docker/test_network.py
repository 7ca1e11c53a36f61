"""This host's route to the pods is added once, as root, and never replaces another route."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from firstlight.errors import TargetError
from lab.docker.host import Host, Route
from lab.docker.network import gateway_of, route_pods

PODS = IPv4Network("10.42.0.0/16")
MACHINE = IPv4Address("10.5.0.11")
ANYBODY = Host(is_root=False, is_restricted=False, cgroup_version=2, routes=())


def test_this_host_has_the_first_address_of_the_network():
    assert gateway_of(IPv4Network("10.5.0.0/24")) == IPv4Address("10.5.0.1")


def test_an_existing_route_to_those_addresses_is_never_replaced():
    host = Host(
        is_root=True,
        is_restricted=False,
        cgroup_version=1,
        routes=(Route(IPv4Network("10.40.0.0/13"), "UNICAST"),),
    )

    with pytest.raises(TargetError, match=r"it overlaps 10\.40\.0\.0/13"):
        route_pods(PODS, MACHINE, host)


@pytest.fixture
def sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """Replace `ip` (no routes) and `sudo` (this exit code); return the file of sudo's arguments."""

    def put(exit_code: int) -> Path:
        for name, text in (
            ("ip", "exit 0"),
            ("sudo", f'echo "$@" >> {tmp_path}/asked; exit {exit_code}'),
        ):
            (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        return tmp_path / "asked"

    return put


def test_without_root_the_route_is_added_with_passwordless_sudo(sudo: Callable[[int], Path]):
    asked = sudo(0)

    assert route_pods(PODS, MACHINE, ANYBODY)
    assert asked.read_text() == "--non-interactive ip route add 10.42.0.0/16 via 10.5.0.11\n"


def test_without_root_and_without_sudo_the_error_names_the_command(
    sudo: Callable[[int], Path], tmp_path: Path
):
    sudo(1)

    for _ in ("sudo refuses", "sudo is missing"):
        with pytest.raises(TargetError, match="only root can") as caught:
            route_pods(PODS, MACHINE, ANYBODY)
        command = "sudo ip route add 10.42.0.0/16 via 10.5.0.11"
        assert caught.value.next_step == f"{command}, then try again"
        (tmp_path / "sudo").unlink(missing_ok=True)
