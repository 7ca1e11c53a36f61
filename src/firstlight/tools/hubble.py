"""Hubble Relay: how many nodes it is connected to.

Relay speaks gRPC. One call over an existing connection needs only HTTP/2, which the `h2` library
implements. `hubble status` would be another program to build, and gRPC's own library cannot use an
existing connection.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from firstlight.errors import FirstlightError
from firstlight.failures import FailureClass

PORT = 4245

ANSWER_S = 10.0

_STATUS = "/observer.Observer/ServerStatus"
_FLOWS, _CONNECTED, _UNAVAILABLE = 1, 5, 6
"""Field numbers of ServerStatusResponse in Cilium's api/v1/observer/observer.proto."""

_ANSWER_BYTES_MAX = (1 << 16) - 1
"""The initial window of HTTP/2, which is never enlarged."""

_PREFIX = struct.Struct("!BI")
"""Precedes each gRPC message: a flag for compression, and the length."""


class NoAnswer(FirstlightError):
    """The server did not answer, or did not answer with gRPC; it may be starting."""

    failure_class = FailureClass.RETRY


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """The status of Hubble Relay.

    Attributes:
        connected: The number of nodes that it is connected to.
        unavailable: The number of nodes that it is not connected to.
        flows: The number of flows that they hold.
    """

    connected: int
    unavailable: int
    flows: int


def ask_relay(connection: socket.socket) -> RelayStatus:
    """Ask Hubble Relay for its status.

    Raises:
        NoAnswer: It does not answer in time, or its answer cannot be read.
    """
    return read_status(call(connection, _STATUS))


def call(connection: socket.socket, method: str) -> bytes:
    """Call a gRPC method with an empty request, and return the encoded answer.

    Args:
        connection: A connection to the server, without TLS.
        method: `/package.Service/Method`.

    Raises:
        NoAnswer: There was no answer in time, or it cannot be read.
    """
    try:
        body = _post(connection, method, _PREFIX.pack(0, 0), time.monotonic() + ANSWER_S)
    except OSError as error:
        raise NoAnswer(f"cannot call {method}: {error or type(error).__name__}") from error
    if len(body) < _PREFIX.size or len(body) - _PREFIX.size != _PREFIX.unpack_from(body)[1]:
        raise NoAnswer(f"cannot call {method}: the server ended the call without an answer")
    return body[_PREFIX.size :]


def read_status(message: bytes) -> RelayStatus:
    """Read an encoded ServerStatusResponse; a missing number is zero.

    Raises:
        NoAnswer: It is not a valid message.
    """
    found = dict(fields(message))
    return RelayStatus(
        connected=_wrapped(found.get(_CONNECTED)),
        unavailable=_wrapped(found.get(_UNAVAILABLE)),
        flows=_number(found.get(_FLOWS)),
    )


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and value of each field in a protobuf message; a value is an int or bytes.

    Raises:
        NoAnswer: It is not a valid message.
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


def _post(connection: socket.socket, path: str, body: bytes, until_s: float) -> bytes:
    """Send one HTTP/2 request, and return the body of the answer.

    Raises:
        OSError: There was no answer in time, or it was not HTTP/2.
    """
    # This import takes a fifth of a second, and most stages do not need it.
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.events import ConnectionTerminated, DataReceived, StreamEnded, StreamReset
    from h2.exceptions import H2Error

    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "relay",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    client = H2Connection(H2Configuration(header_encoding="utf-8"))
    client.initiate_connection()
    client.send_headers(1, list(headers.items()))
    client.send_data(1, body, end_stream=True)
    answer = b""
    while len(answer) < _ANSWER_BYTES_MAX:
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")
        connection.settimeout(left_s)
        connection.sendall(client.data_to_send())
        received = connection.recv(1 << 16)
        if not received:
            raise ConnectionResetError("the connection ended before the answer did")
        try:
            events = client.receive_data(received)
        except H2Error as error:
            raise ConnectionAbortedError(f"the answer is not HTTP/2: {error}") from error
        for event in events:
            if isinstance(event, DataReceived):
                answer += event.data
            elif isinstance(event, StreamReset | ConnectionTerminated):
                raise ConnectionResetError("the server ended the connection")
            elif isinstance(event, StreamEnded):
                return answer
    raise ConnectionResetError("the answer is too long")


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


def _wrapped(value: int | bytes | None) -> int:
    """Return a number that is wrapped in a message, which tells zero from unset."""
    return _number(dict(fields(value)).get(1)) if isinstance(value, bytes) else 0


def _number(value: int | bytes | None) -> int:
    return value if isinstance(value, int) else 0
