"""DNS: one question over a connection that is already there, and what a resolver elsewhere printed."""

from __future__ import annotations

import socket
import struct
import time

import dns.exception
import dns.message
import dns.rdatatype

from firstlight.errors import FirstlightError
from firstlight.failures import FailureClass
from firstlight.tools.sockets import read_exactly

ANSWER_S = 5.0


class NoAnswer(FirstlightError):
    """The server did not answer, or not with DNS; it may be starting."""

    failure_class = FailureClass.RETRY


def ask(connection: socket.socket, name: str) -> tuple[str, ...]:
    """Return the IPv4 addresses of a name, asked over TCP; none when the server does not know it.

    Raises:
        NoAnswer: There was no answer in time, or none that can be read.
    """
    question = dns.message.make_query(name, dns.rdatatype.A).to_wire()
    until_s = time.monotonic() + ANSWER_S
    try:
        connection.settimeout(ANSWER_S)
        connection.sendall(struct.pack("!H", len(question)) + question)
        (length,) = struct.unpack("!H", read_exactly(connection, 2, until_s=until_s))
        answer = dns.message.from_wire(read_exactly(connection, length, until_s=until_s))
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
    """Read the addresses from `getent ahostsv4`, each once."""
    return tuple(dict.fromkeys(line.split()[0] for line in text.splitlines() if line.split()))
