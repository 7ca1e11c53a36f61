"""The client of Hubble Relay is tried on servers that misbehave."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.tools.hubble import NoAnswer, call, read_status

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
