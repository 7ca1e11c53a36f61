"""Addresses and ports of a lab: who listens there, and whether it is ours."""

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
    """A place where the lab listens, or will.

    Attributes:
        name: What listens there, for people.
        address: The loopback address.
        port: The TCP port.
        essential: Whether the lab is not up without it. A machine's own ports are not: they open with the bootstrap, or are closed by a fault.
    """

    name: str
    address: str
    port: int
    essential: bool = True

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"

    def answers(self) -> bool:
        """Whether something accepts connections there."""
        with (
            suppress(OSError),
            socket.create_connection((self.address, self.port), timeout=_CONNECT_S),
        ):
            return True
        return False


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a port.

    Attributes:
        uid: Of the owner, none when the kernel does not say.
        pid: The process, none when it is somebody else's and cannot be seen.
    """

    uid: int | None
    pid: int | None


def require_free(paths: LabPaths, listeners: Iterable[Listener]) -> None:
    """Make sure that nobody but this lab listens where it wants to.

    Raises:
        TargetError: Somebody does; the message says who and what to do.
    """
    for listener in listeners:
        if _can_bind(listener):
            continue
        holder = _holder(listener)
        if holder.pid is None or processes.state_of(holder.pid) != str(paths.state):
            raise TargetError(
                f"cannot use {listener} for {listener.name}: the port is taken\n  held by   {_describe(holder)}",
                next_step=_advice(holder),
            )


def _can_bind(listener: Listener) -> bool:
    """Whether the kernel would let us listen there; only it knows all that can be in the way."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        # As every server does: connections that have just ended are no hindrance.
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
        return "a process that the kernel does not name"
    try:
        user = pwd.getpwuid(holder.uid).pw_name
    except KeyError:
        user = f"uid {holder.uid}"
    if holder.pid is None:
        return f"a process of {user}"
    return f"process {holder.pid} of {user}: {processes.command_of(holder.pid)}"


def _advice(holder: Holder) -> str:
    if holder.pid is None:
        return "another user's lab holds these addresses: one lab per cluster and machine; ask them for ./task simulated:down"
    other = processes.state_of(holder.pid)
    if other:
        root, cluster = Path(other).parents[2], Path(other).name
        return f"XDG_STATE_HOME={root} ./task simulated:down CLUSTER={cluster}"
    return f"end process {holder.pid}, then the same command again"


def _listening() -> Iterator[tuple[str, int, int, str]]:
    """Yield address, port, owner and inode of every listening TCP socket; the address of IPv6 is left empty, it may stand for all."""
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (_PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN:
                    address, port = fields[1].split(":")
                    yield _readable(address), int(port, 16), int(fields[7]), fields[9]


def _readable(address: str) -> str:
    # The kernel writes an address in the machine's byte order.
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
