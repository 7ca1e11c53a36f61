"""DNS: a question over an existing connection, and the output of a resolver in a pod."""

from __future__ import annotations

import socket
import struct
import time

import dns.exception
import dns.message
import dns.rdatatype

from firstlight.errors import FirstlightError
from firstlight.failures import FailureClass

ANSWER_S = 5.0


class NoAnswer(FirstlightError):
    """The server did not answer, or not with DNS; it may be starting."""

    failure_class = FailureClass.RETRY


def ask(connection: socket.socket, name: str) -> tuple[str, ...]:
    """Return the IPv4 addresses of a name, asked over TCP; empty if the server does not know it.

    dnspython's own TCP query measures its timeout with the wall clock, which may be set meanwhile.

    Raises:
        NoAnswer: There was no answer in time, or it cannot be read.
    """
    question = dns.message.make_query(name, dns.rdatatype.A).to_wire()
    until_s = time.monotonic() + ANSWER_S
    try:
        connection.settimeout(ANSWER_S)
        connection.sendall(struct.pack("!H", len(question)) + question)
        (length,) = struct.unpack("!H", _read_exactly(connection, 2, until_s))
        answer = dns.message.from_wire(_read_exactly(connection, length, until_s))
    except (OSError, dns.exception.DNSException) as error:
        raise NoAnswer(f"cannot resolve {name}: {error or type(error).__name__}") from error
    return tuple(
        sorted(
            item.address
            for section in answer.answer
            if section.rdtype == dns.rdatatype.A
            for item in section
        )
    )


def parse_getent(text: str) -> tuple[str, ...]:
    """Read the distinct addresses from `getent ahostsv4`."""
    return tuple(dict.fromkeys(line.split()[0] for line in text.splitlines() if line.split()))


def _read_exactly(connection: socket.socket, length: int, until_s: float) -> bytes:
    """Read a number of bytes; the deadline also ends a server that sends a byte now and then."""
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
