"""Which eBPF programs are attached to a control group, asked of the kernel itself: bpftool is not everywhere."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path

_NR_BPF = {"x86_64": 321, "aarch64": 280}
"""The system call's number, by machine."""

_GET_FD_BY_ID, _INFO_BY_FD, _QUERY = 13, 15, 16
_ATTACH_TYPES = tuple(range(64))
"""Every kind of attachment there is, and some to come: the kernel refuses those that are no control group's."""

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
        # Newer kernels write what they know of revisions and links behind that, whatever size they are told.
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
    """Return the names of all programs attached to a control group, or none when we may not ask."""
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
    asked = _Query(descriptor, attach_type, 0, 0, ctypes.addressof(numbers), _PROGRAMS_MAX)
    return list(numbers[: asked.prog_cnt]) if _bpf(_QUERY, asked) == 0 else []


def _name(number: int) -> str:
    descriptor = _bpf(_GET_FD_BY_ID, _Id(number, 0, 0))
    if descriptor < 0:
        return f"program {number}"
    try:
        told = ctypes.create_string_buffer(_INFO_BYTES)
        if _bpf(_INFO_BY_FD, _Info(descriptor, _INFO_BYTES, ctypes.addressof(told))) != 0:
            return f"program {number}"
        return (
            told.raw[_NAME_OFFSET : _NAME_OFFSET + _NAME_BYTES]
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
