"""Addresses and ports of a lab: who listens there, and whether it is ours."""

from __future__ import annotations

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
        with suppress(OSError), socket.create_connection((self.address, self.port), timeout=_CONNECT_S):
            return True
        return False


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a port.

    Attributes:
        uid: Of the owner.
        pid: The process, none when it is somebody else's and cannot be seen.
    """

    uid: int
    pid: int | None


def require_free(paths: LabPaths, listeners: Iterable[Listener]) -> None:
    """Make sure that nobody but this lab listens where it wants to.

    Raises:
        TargetError: Somebody does; the message says who and what to do.
    """
    held = list(_listening())
    for listener in listeners:
        for address, port, uid, inode in held:
            if port != listener.port or address not in {listener.address, "0.0.0.0"}:  # noqa: S104 - compared, not bound
                continue
            holder = Holder(uid, _process_with(inode))
            if holder.pid is None or processes.state_of(holder.pid) != str(paths.state):
                raise TargetError(
                    f"cannot use {listener} for {listener.name}: the port is taken\n  held by   {_describe(holder)}",
                    next_step=_advice(holder),
                )


def _describe(holder: Holder) -> str:
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
    """Yield address, port, owner and inode of every listening TCP socket."""
    with suppress(OSError):
        for line in (_PROC / "net" / "tcp").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTEN:
                address, port = fields[1].split(":")
                # The kernel writes the address in the machine's byte order.
                yield socket.inet_ntoa(struct.pack("=I", int(address, 16))), int(port, 16), int(fields[7]), fields[9]


def _process_with(inode: str) -> int | None:
    wanted = f"socket:[{inode}]"
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if any(str(link.readlink()) == wanted for link in (entry / "fd").iterdir()):
                    return int(entry.name)
    return None
