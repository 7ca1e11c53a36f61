"""Addresses and ports of a lab: which process listens there, and whether it is ours."""

from __future__ import annotations

import errno
import pwd
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from firstlight.errors import TargetError
from lab.simulated import processes
from lab.simulated.paths import LabPaths

_LISTEN = "0A"
_ANY = "0.0.0.0"  # noqa: S104 - compared, never bound
_IPV4_DIGITS = 8
_CONNECT_S = 0.2
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Listener:
    """An address and port on which the lab listens or will listen.

    Attributes:
        name: What listens there, for people.
        address: The loopback address.
        port: The TCP port.
        essential: Whether the lab is down without it. The ports of machines are not essential: the
            bootstrap opens them, and faults close them.
    """

    name: str
    address: str
    port: int
    essential: bool = True

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"

    def answers(self) -> bool:
        """Report whether something accepts connections there."""
        with (
            suppress(OSError),
            socket.create_connection((self.address, self.port), timeout=_CONNECT_S),
        ):
            return True
        return False


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a port.

    Attributes:
        uid: Its owner; None if the kernel does not report it.
        pid: Its process id; None if it belongs to another user and cannot be seen.
    """

    uid: int | None
    pid: int | None


def require_free(paths: LabPaths, listeners: Iterable[Listener]) -> None:
    """Check that no other process listens where the lab needs to.

    Raises:
        TargetError: A port is taken. The message names the holder and the remedy.
    """
    for listener in listeners:
        if _can_bind(listener):
            continue
        holder = _holder(listener)
        if holder.pid is None or processes.state_of(holder.pid) != str(paths.state):
            raise TargetError(
                f"cannot use {listener} for {listener.name}: the port is taken\n"
                f"  held by   {_describe(holder)}",
                next_step=_advice(holder),
            )


def _can_bind(listener: Listener) -> bool:
    """Report whether the port can be bound. Only the kernel knows everything that prevents it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        # As every server does: connections that have just ended are no obstacle.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((listener.address, listener.port))
            trial.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise TargetError(
                f"cannot use {listener} for {listener.name}: {error.strerror}",
                next_step="`ip address show lo` must show 127.0.0.1/8",
            ) from error
    return True


def _holder(listener: Listener) -> Holder:
    for address, port, uid, inode in _listening():
        if port == listener.port and address in {listener.address, _ANY, ""}:
            return Holder(uid, _process_with(inode))
    return Holder(None, None)


def _describe(holder: Holder) -> str:
    if holder.uid is None:
        return "a process that the kernel does not report"
    try:
        user = pwd.getpwuid(holder.uid).pw_name
    except KeyError:
        user = f"uid {holder.uid}"
    if holder.pid is None:
        return f"a process of {user}"
    return f"process {holder.pid} of {user}: {processes.command_of(holder.pid)}"


def _advice(holder: Holder) -> str:
    if holder.pid is None:
        return (
            "another user's lab holds these addresses: only one lab per cluster and machine; "
            "ask them to run ./task simulated:down CLUSTER=<cluster>"
        )
    other = processes.state_of(holder.pid)
    if other:
        root, cluster = Path(other).parents[2], Path(other).name
        return f"XDG_STATE_HOME={root} ./task simulated:down CLUSTER={cluster}"
    return f"end process {holder.pid}, then run the same command again"


def _listening() -> Iterator[tuple[str, int, int, str]]:
    """Yield address, port, owner and inode of every listening TCP socket.

    The address is empty for IPv6, because such a socket may accept IPv4 too.
    """
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (_PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN:
                    address, port = fields[1].split(":")
                    yield _readable(address), int(port, 16), int(fields[7]), fields[9]


def _readable(address: str) -> str:
    # The kernel writes the address in the machine's byte order.
    return (
        socket.inet_ntoa(struct.pack("=I", int(address, 16)))
        if len(address) == _IPV4_DIGITS
        else ""
    )


def _process_with(inode: str) -> int | None:
    wanted = f"socket:[{inode}]"
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if any(str(link.readlink()) == wanted for link in (entry / "fd").iterdir()):
                    return int(entry.name)
    return None
