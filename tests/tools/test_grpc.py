"""A real gRPC server is asked, without TLS: etcd, which has the standard health service and its own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.clock import SystemClock
from firstlight.tools.grpc import NoAnswer, call, fields
from firstlight.tools.hubble import read_status

ETCD = Path(__file__).parents[2] / ".tools" / "bin" / "etcd"
ADDRESS = "127.0.0.1"
START_S = 60.0


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    if not ETCD.exists():
        pytest.skip("needs etcd: ./task tools:setup")
    client, peer = (free_port() for _ in range(2))
    urls = [f"http://{ADDRESS}:{port}" for port in (client, peer)]
    words = [str(ETCD), "--data-dir", str(tmp_path_factory.mktemp("etcd") / "data"), "--initial-cluster", f"default={urls[1]}"]
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
        clock, deadline = SystemClock(), SystemClock().monotonic() + START_S
        while not listens(client):
            assert process.poll() is None
            assert clock.monotonic() < deadline
            clock.sleep(0.1)
        yield client
        process.terminate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


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


def test_a_call_that_a_real_server_does_not_know_has_no_answer(etcd: int):
    with socket.create_connection((ADDRESS, etcd)) as connection, pytest.raises(NoAnswer, match="ended the call without an answer"):
        call(connection, "/observer.Observer/ServerStatus")


@given(st.binary())
def test_no_message_breaks_its_reader(message: bytes):
    with contextlib.suppress(NoAnswer):
        assert read_status(message).flows >= 0
