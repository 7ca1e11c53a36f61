"""A real gRPC server is asked, without TLS: etcd, which has the standard health service and its own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.tools.grpc import NoAnswer, call, fields
from firstlight.tools.hubble import read_status
from tests.waiting import until

ETCD = Path(__file__).parents[2] / ".tools" / "bin" / "etcd"
ADDRESS = "127.28.0.1"
"""Nobody else's: a port that was free a moment ago is free still."""
START_S = 60.0


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    if not ETCD.exists():
        pytest.skip("needs etcd: ./task tools:setup")
    # The second one is not to be the first again.
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


def test_a_call_that_a_real_server_does_not_know_has_no_answer(etcd: int):
    with (
        socket.create_connection((ADDRESS, etcd)) as connection,
        pytest.raises(NoAnswer, match="ended the call without an answer"),
    ):
        call(connection, "/observer.Observer/ServerStatus")


PING = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + bytes(8)


@pytest.mark.parametrize("said", [PING, PING[:1]], ids=["pings", "bytes"])
def test_a_server_that_says_something_without_end_has_no_answer(
    monkeypatch: pytest.MonkeyPatch, said: bytes
):
    monkeypatch.setattr("firstlight.tools.grpc.ANSWER_S", 1.0)
    started = time.monotonic()

    with talking(said) as connection, pytest.raises(NoAnswer, match="timed out"):
        call(connection, "/observer.Observer/ServerStatus")

    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("size", "said"), [(65_000, "timed out"), (65_535, "the answer is too long")]
)
def test_an_answer_is_too_long_when_the_server_may_not_go_on(
    monkeypatch: pytest.MonkeyPatch, size: int, said: str
):
    monkeypatch.setattr("firstlight.tools.grpc.ANSWER_S", 1.0)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(size.to_bytes(3, "big") + b"\x00\x00\x00\x00\x00\x01" + bytes(size))

        with pytest.raises(NoAnswer, match=said):
            call(ours, "/observer.Observer/ServerStatus")


@contextlib.contextmanager
def talking(said: bytes) -> Iterator[socket.socket]:
    """Connect to a server that says one thing again and again, for ten seconds at most."""
    ours, theirs = socket.socketpair()
    over = threading.Event()

    def talk() -> None:
        with theirs, contextlib.suppress(OSError):
            for _ in range(200):
                theirs.sendall(said)
                if over.wait(0.05):
                    return
                with contextlib.suppress(BlockingIOError):
                    theirs.recv(1 << 16, socket.MSG_DONTWAIT)

    talker = threading.Thread(target=talk)
    talker.start()
    with ours:
        yield ours
    over.set()
    talker.join()


@given(st.binary())
def test_no_message_breaks_its_reader(message: bytes):
    with contextlib.suppress(NoAnswer):
        assert read_status(message).flows >= 0
