"""What every protocol over a connection that is already there needs."""

from __future__ import annotations

import socket
import time


def read_exactly(connection: socket.socket, length: int, *, until_s: float) -> bytes:
    """Return so many bytes, as soon as all have come.

    Args:
        connection: Where they come from.
        length: How many.
        until_s: Until when, by the monotonic clock: a server that says a little now and then is not waited for without end.

    Raises:
        ConnectionResetError: The connection ended before.
        TimeoutError: They did not come in time.
    """
    data = b""
    while len(data) < length:
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")
        connection.settimeout(left_s)
        part = connection.recv(length - len(data))
        if not part:
            raise ConnectionResetError("the connection ended before the answer did")
        data += part
    return data
