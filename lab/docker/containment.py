"""Keep Cilium's control group programs inside the node containers.

An agent that mounts cgroup2 attaches its socket programs to the root of its control group
namespace. A container that shares this host's namespace would attach them to the host's own root,
and every process here would get Kubernetes' service translation (the socket load balancer).
"""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path

from firstlight.errors import TargetError
from lab.docker.engine import Engine

_CGROUP2 = "cgroup2"


def require_own_cgroup_namespace(
    engine: Engine, container: str, proc: Path = Path("/proc")
) -> None:
    """Make sure that a container has its own control group namespace.

    Raises:
        TargetError: It shares this host's namespace; the container is removed at once.
    """
    seen = _seen(engine, container, proc)
    if seen:
        engine.call("rm", "--force", "--volumes", container)
        raise TargetError(
            f"cannot use the container {container}: {seen}, and Cilium would attach its programs "
            "to this computer's own control group",
            next_step="the container is removed; use an engine that supports --cgroupns=private "
            "(Docker 20.10 or later)",
        )


def _seen(engine: Engine, container: str, proc: Path) -> str:
    found = engine.inspect("container", [container])
    if not found:
        return "it is gone"
    mode, pid = found[0]["HostConfig"].get("CgroupnsMode", ""), int(found[0]["State"]["Pid"])
    if mode != "private":
        return f"its control group namespace is {mode or 'unknown'}"
    try:
        inside, here = (
            str((proc / whose / "ns" / "cgroup").readlink()) for whose in (str(pid), "self")
        )
    except OSError:
        # Only root may read another user's namespaces; without root, the engine's answer decides.
        return ""
    return f"it shares {here} with this computer" if inside == here else ""


def require_clean_host(mounts: Path = Path("/proc/mounts")) -> str:
    """Make sure that no Cilium program is attached to this host's root control group.

    Returns:
        What was checked, for people.

    Raises:
        TargetError: A program is attached; the message says which one and how to remove it.
    """
    root = cgroup2_root(mounts.read_text(encoding="utf-8"))
    if root is None:
        return "this computer has no cgroup2 mount"
    programs = attached_programs(root)
    if programs is None:
        return f"{root} cannot be checked without root"
    if foreign := [name for name in programs if name.startswith("cil_")]:
        raise TargetError(
            "cannot continue: Cilium's programs are attached to this computer's own control group "
            f"{root}: {', '.join(foreign)}",
            next_step="./task docker:down CLUSTER=<cluster> removes the agents; then remove the "
            "links under /sys/fs/bpf/cilium/socketlb/links/cgroup",
        )
    return f"no program of Cilium's on {root}"


def cgroup2_root(mounts: str) -> Path | None:
    """Return the mount point of this host's cgroup2 hierarchy, or None."""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) > 2 and fields[2] == _CGROUP2:  # noqa: PLR2004 - device, mount point, type
            return Path(fields[1])
    return None


# The kernel's own answer: bpftool is not installed everywhere.

_NR_BPF = {"x86_64": 321, "aarch64": 280}
"""The number of the bpf system call, by architecture."""

_GET_FD_BY_ID, _INFO_BY_FD, _QUERY = 13, 15, 16
_ATTACH_TYPES = tuple(range(64))
"""Every attach type, with room for new ones; the kernel rejects the types of other hooks."""

_PROGRAMS_MAX = 64
_NAME_OFFSET, _NAME_BYTES, _INFO_BYTES = 64, 16, 256
"""Where `struct bpf_prog_info` holds the program's name (linux/bpf.h)."""


class _Query(ctypes.Structure):
    _fields_ = (
        ("target_fd", ctypes.c_uint32),
        ("attach_type", ctypes.c_uint32),
        ("query_flags", ctypes.c_uint32),
        ("attach_flags", ctypes.c_uint32),
        ("prog_ids", ctypes.c_uint64),
        ("prog_cnt", ctypes.c_uint32),
        # Newer kernels write revisions and links after these fields, whatever size we pass.
        ("later", ctypes.c_uint8 * 196),
    )


class _Id(ctypes.Structure):
    _fields_ = (
        ("id", ctypes.c_uint32),
        ("next_id", ctypes.c_uint32),
        ("open_flags", ctypes.c_uint32),
    )


class _Info(ctypes.Structure):
    _fields_ = (
        ("bpf_fd", ctypes.c_uint32),
        ("info_len", ctypes.c_uint32),
        ("info", ctypes.c_uint64),
    )


def attached_programs(cgroup: Path) -> tuple[str, ...] | None:
    """Return the names of all programs attached to a control group, or None without permission."""
    if platform.machine() not in _NR_BPF or os.geteuid() != 0:
        return None
    descriptor = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    try:
        ids = {
            number for attach_type in _ATTACH_TYPES for number in _query(descriptor, attach_type)
        }
    finally:
        os.close(descriptor)
    return tuple(sorted(_name(number) for number in ids))


def _query(descriptor: int, attach_type: int) -> list[int]:
    numbers = (ctypes.c_uint32 * _PROGRAMS_MAX)()
    query = _Query(descriptor, attach_type, 0, 0, ctypes.addressof(numbers), _PROGRAMS_MAX)
    return list(numbers[: query.prog_cnt]) if _bpf(_QUERY, query) == 0 else []


def _name(number: int) -> str:
    descriptor = _bpf(_GET_FD_BY_ID, _Id(number, 0, 0))
    if descriptor < 0:
        return f"program {number}"
    try:
        info = ctypes.create_string_buffer(_INFO_BYTES)
        if _bpf(_INFO_BY_FD, _Info(descriptor, _INFO_BYTES, ctypes.addressof(info))) != 0:
            return f"program {number}"
        return (
            info.raw[_NAME_OFFSET : _NAME_OFFSET + _NAME_BYTES]
            .split(b"\0")[0]
            .decode(errors="replace")
            or f"program {number}"
        )
    finally:
        os.close(descriptor)


def _bpf(command: int, attributes: ctypes.Structure) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    return int(
        library.syscall(
            _NR_BPF[platform.machine()],
            command,
            ctypes.byref(attributes),
            ctypes.sizeof(attributes),
        )
    )
