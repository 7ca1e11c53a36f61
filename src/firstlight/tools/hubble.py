"""Hubble Relay: its own word on how many nodes it hears."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from firstlight.tools.grpc import call, fields

PORT = 4245

_STATUS = "/observer.Observer/ServerStatus"
_FLOWS, _CONNECTED, _UNAVAILABLE = 1, 5, 6
"""Numbers of the fields of ServerStatusResponse in Cilium's api/v1/observer/observer.proto."""


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """What Hubble Relay says when it is asked: how many nodes it hears, how many it does not, and how many flows they hold."""

    connected: int
    unavailable: int
    flows: int


def ask_relay(connection: socket.socket) -> RelayStatus:
    """Ask Hubble Relay for its status.

    Raises:
        NoAnswer: It does not answer.
    """
    return read_status(call(connection, _STATUS))


def read_status(message: bytes) -> RelayStatus:
    """Read an encoded ServerStatusResponse; a number that is not there is zero, as ever in that format.

    Raises:
        NoAnswer: It is no message.
    """
    found = dict(fields(message))
    return RelayStatus(
        connected=_wrapped(found.get(_CONNECTED)),
        unavailable=_wrapped(found.get(_UNAVAILABLE)),
        flows=_number(found.get(_FLOWS)),
    )


def _wrapped(value: int | bytes | None) -> int:
    """Return a number that is in a message of its own, so that none differs from zero."""
    return _number(dict(fields(value)).get(1)) if isinstance(value, bytes) else 0


def _number(value: int | bytes | None) -> int:
    return value if isinstance(value, int) else 0
