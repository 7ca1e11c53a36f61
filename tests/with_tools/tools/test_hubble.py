"""The client of Hubble Relay is tried on a real gRPC server: etcd."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator

import pytest

from firstlight.tools.hubble import NoAnswer, call, fields
from tests.definitions import CHECKOUT
from tests.waiting import until

ETCD = CHECKOUT / ".tools" / "bin" / "etcd"
ADDRESS = "127.28.0.1"
"""No other test uses this address, so a free port stays free."""
START_S = 60.0


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    client = free_port()
    peer = free_port(but=client)
    urls = [f"http://{ADDRESS}:{port}" for port in (client, peer)]
    words = [
        str(ETCD),
        "--data-dir",
        str(tmp_path_factory.mktemp("etcd") / "data"),
        "--initial-cluster",
        f"default={urls[1]}",
    ]
    words += [
        "--listen-client-urls",
        urls[0],
        "--advertise-client-urls",
        urls[0],
        "--listen-peer-urls",
        urls[1],
        "--initial-advertise-peer-urls",
        urls[1],
    ]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(lambda: listens(client) or process.poll() is not None, within_s=START_S)
        assert listens(client)
        yield client
        process.terminate()


def free_port(but: int = 0) -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port = int(probe.getsockname()[1])
        return port if port != but else free_port(but)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((ADDRESS, port)) == 0


def test_a_real_server_answers(etcd: int):
    with socket.create_connection((ADDRESS, etcd)) as connection:
        health = call(connection, "/grpc.health.v1.Health/Check")
    with socket.create_connection((ADDRESS, etcd)) as connection:
        status = dict(fields(call(connection, "/etcdserverpb.Maintenance/Status")))

    assert list(fields(health)) == [(1, 1)]
    assert str(status[2], "ascii").startswith("3.")  # type: ignore[arg-type]


def test_an_unknown_method_has_no_answer(etcd: int):
    with (
        socket.create_connection((ADDRESS, etcd)) as connection,
        pytest.raises(NoAnswer, match="ended the call without an answer"),
    ):
        call(connection, "/observer.Observer/ServerStatus")
