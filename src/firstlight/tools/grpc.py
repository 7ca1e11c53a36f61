"""gRPC: one question over a connection that is already there, without TLS.

Hubble Relay speaks nothing else. One call with one answer needs four kinds of HTTP/2 frames and no compression of headers, so it is
written here rather than taking in a library of many megabytes; a real gRPC server answers it in the tests.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

from firstlight.errors import FirstlightError
from firstlight.failures import FailureClass
from firstlight.tools.sockets import read_exactly

ANSWER_S = 10.0
_ANSWER_BYTES_MAX = (1 << 16) - 1
"""As much as a server sends before it is told that it may go on, which is never done."""

_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GO_AWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_PREFIX = 5
"""A gRPC message begins with a flag of one byte and its length in four."""


class NoAnswer(FirstlightError):
    """The server did not answer, or not with gRPC; it may be starting."""

    failure_class = FailureClass.RETRY


def call(connection: socket.socket, method: str, request: bytes = b"") -> bytes:
    """Return the answer to one call, as an encoded message.

    Args:
        connection: Where the server is.
        method: `/package.Service/Method`.
        request: The encoded message; an empty one has no fields set.

    Raises:
        NoAnswer: There was no answer in time, or none that can be read.
    """
    until_s = time.monotonic() + ANSWER_S
    try:
        connection.settimeout(ANSWER_S)
        connection.sendall(
            _PREFACE
            + _frame(_SETTINGS, 0, 0, b"")
            + _frame(_HEADERS, _END_HEADERS, 1, _headers(method))
        )
        connection.sendall(
            _frame(_DATA, _END_STREAM, 1, struct.pack("!BI", 0, len(request)) + request)
        )
        message = _answer(connection, until_s)
    except (OSError, struct.error) as error:
        raise NoAnswer(f"cannot call {method}: {error or type(error).__name__}") from error
    if len(message) < _PREFIX or len(message) - _PREFIX != int.from_bytes(
        message[1:_PREFIX], "big"
    ):
        raise NoAnswer(f"cannot call {method}: the server ended the call without an answer")
    return message[_PREFIX:]


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and the value of each field of an encoded message: numbers as such, everything else as bytes.

    Raises:
        NoAnswer: It is no message.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == 2:  # noqa: PLR2004 - the wire format's own number
            length, at = _varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise NoAnswer(f"cannot read an answer: it has a field of kind {kind}")
        if at + length > len(message):
            raise NoAnswer("cannot read an answer: it is cut off")
        yield key >> 3, message[at : at + length]
        at += length


def _answer(connection: socket.socket, until_s: float) -> bytes:
    """Read frames until the stream is over, and return what was in its data."""
    data = b""
    while len(data) < _ANSWER_BYTES_MAX:
        head = read_exactly(connection, 9, until_s=until_s)
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        payload = read_exactly(connection, length, until_s=until_s)
        if kind == _DATA:
            data += payload
        elif kind == _SETTINGS and not flags & _ACK:
            connection.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            connection.sendall(_frame(_PING, _ACK, 0, payload))
        elif kind in (_RESET, _GO_AWAY):
            raise ConnectionResetError("the server ended the connection")
        if kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            return data
    raise ConnectionResetError("the answer is too long")


def _headers(method: str) -> bytes:
    """Encode a call's headers as literals that are never indexed, which every server must understand."""
    told = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method,
        ":authority": "relay",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    return b"".join(b"\x10" + _literal(name) + _literal(value) for name, value in told.items())


def _literal(text: str) -> bytes:
    # One byte holds a length below 127, which is more than any name of ours.
    return bytes([len(text)]) + text.encode("ascii")


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return (
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
    )


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 - the wire format's last byte
            return value, at
    raise NoAnswer("cannot read an answer: it is cut off")
