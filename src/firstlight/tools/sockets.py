"""What every protocol over a connection that is already there needs."""

from __future__ import annotations

import socket


def read_exactly(connection: socket.socket, length: int) -> bytes:
    """Return so many bytes, as soon as all have come.

    Raises:
        ConnectionResetError: The connection ended before.
        TimeoutError: Nothing came for as long as the connection's own timeout.
    """
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise ConnectionResetError("the connection ended before the answer did")
        data += part
    return data
