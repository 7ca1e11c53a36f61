"""A taken port is reported with its holder and the remedy."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Iterator

import pytest

from firstlight.errors import TargetError
from lab.simulated import ports, services
from lab.simulated.paths import LabPaths
from lab.simulated.ports import Listener
from tests.lab.support import start_service

ADDRESS = "127.25.201.11"
LISTEN = """
import pathlib, signal, socket, sys
listening = socket.create_server((sys.argv[2], 0))
fresh = pathlib.Path(sys.argv[1] + ".fresh")
fresh.write_text(str(listening.getsockname()[1]))
fresh.rename(sys.argv[1])
signal.pause()
"""


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((ADDRESS, 0)) as listening:
        yield listening.getsockname()[1]


def test_a_free_port_is_accepted(paths: LabPaths, taken: int):
    ports.require_free(paths, [Listener("the Git remote", "127.25.201.12", taken)])


def test_a_taken_port_is_reported_with_its_process(paths: LabPaths, taken: int):
    with pytest.raises(TargetError) as caught:
        ports.require_free(paths, [Listener("the Git remote", ADDRESS, taken)])

    message = str(caught.value)
    assert f"cannot use {ADDRESS}:{taken} for the Git remote: the port is taken" in message
    assert f"process {os.getpid()} of " in message
    assert f"end process {os.getpid()}" in message


def test_a_port_on_all_addresses_counts(paths: LabPaths):
    with (
        socket.create_server(("0.0.0.0", 0)) as listening,
        pytest.raises(TargetError, match="the port is taken"),
    ):
        ports.require_free(paths, [Listener("the Git remote", ADDRESS, listening.getsockname()[1])])


def test_a_port_on_all_ipv6_addresses_counts_too(paths: LabPaths):
    if not socket.has_dualstack_ipv6():
        pytest.skip("needs IPv6")
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listening,
        pytest.raises(TargetError) as caught,
    ):
        ports.require_free(paths, [Listener("the Git remote", ADDRESS, listening.getsockname()[1])])

    assert f"process {os.getpid()} of " in str(caught.value)


def test_a_foreign_address_is_an_error(paths: LabPaths):
    with pytest.raises(TargetError, match=r"cannot use 192\.0\.2\.1:2222 for the Git remote"):
        ports.require_free(paths, [Listener("the Git remote", "192.0.2.1", 2222)])


def test_another_labs_process_is_reported_with_its_down_command(paths: LabPaths):
    ready = paths.run / "listener.ready"
    start_service(paths, "listener", [sys.executable, "-c", LISTEN, str(ready), ADDRESS], ready)
    listener = Listener("the Talos API of infra-cp-1", ADDRESS, int(ready.read_text()))
    other = LabPaths(
        cluster="infra", state=paths.state.parent / "elsewhere", checkout=paths.checkout
    )

    ports.require_free(paths, [listener])
    assert listener.answers()
    with pytest.raises(
        TargetError, match=re.escape(f"./task simulated:down CLUSTER={paths.state.name}")
    ):
        ports.require_free(other, [listener])


def test_a_service_does_not_start_on_a_taken_port(paths: LabPaths, taken: int):
    service = services.Service(
        "git-server",
        ("sleep", "300"),
        {},
        paths.run / "x",
        "one",
        (Listener("the Git remote", ADDRESS, taken),),
    )

    with pytest.raises(TargetError, match="the port is taken"):
        services.begin(paths, service, lambda _text: None)
    assert not (paths.run / "git-server.json").exists()
