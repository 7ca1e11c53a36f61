"""The client of Hubble Relay is tried on a real gRPC server, etcd, and on misbehaving ones."""

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

from firstlight.tools.hubble import NoAnswer, call, fields, read_status
from tests.waiting import until

ETCD = Path(__file__).parents[2] / ".tools" / "bin" / "etcd"
ADDRESS = "127.28.0.1"
"""No other test uses this address, so a free port stays free."""
START_S = 60.0


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    if not ETCD.exists():
        pytest.skip("needs etcd: ./task tools:setup")
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


PING = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + bytes(8)


@pytest.mark.parametrize(
    ("repeated", "problem"),
    [(PING, "timed out"), (b"\1", "timed out"), (b"\0", "the answer is not HTTP/2")],
    ids=["pings", "a long frame, byte by byte", "broken frames"],
)
def test_a_server_that_sends_forever_does_not_block_the_call(
    monkeypatch: pytest.MonkeyPatch, repeated: bytes, problem: str
):
    monkeypatch.setattr("firstlight.tools.hubble.ANSWER_S", 1.0)
    started = time.monotonic()

    with talking(repeated) as connection, pytest.raises(NoAnswer, match=problem):
        call(connection, "/observer.Observer/ServerStatus")

    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("size", "problem"), [(65_000, "timed out"), (65_535, "the answer is too long")]
)
def test_an_answer_is_limited_to_the_initial_window(
    monkeypatch: pytest.MonkeyPatch, size: int, problem: str
):
    monkeypatch.setattr("firstlight.tools.hubble.ANSWER_S", 1.0)
    frames = b"".join(
        frame(0, 0, 1, bytes(min(16_384, size - start))) for start in range(0, size, 16_384)
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(frame(4, 0, 0, b"") + frame(1, 4, 1, b"\x88") + frames)

        with pytest.raises(NoAnswer, match=problem):
            call(ours, "/observer.Observer/ServerStatus")


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return an HTTP/2 frame."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


@contextlib.contextmanager
def talking(said: bytes) -> Iterator[socket.socket]:
    """Connect to a server that repeats some bytes for ten seconds at most."""
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
def test_any_bytes_are_read_or_refused(message: bytes):
    with contextlib.suppress(NoAnswer):
        assert read_status(message).flows >= 0
