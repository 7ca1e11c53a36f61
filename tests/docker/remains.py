"""What this host still has of a docker lab, according to the kernel, not the lab's records."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lab.simulated.paths import MARK

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")


def seen(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> frozenset[str]:
    """Return all mounts, links, routes, container control groups, processes and engine objects."""
    return frozenset(
        (*_mounts(proc), *_network(), *_control_groups(cgroups), *_processes(proc), *_objects())
    )


def more(before: frozenset[str]) -> list[str]:
    """Return what exists now and did not exist before."""
    return sorted(seen() - before)


def _mounts(proc: Path) -> Iterator[str]:
    for line in (proc / "self" / "mounts").read_text(encoding="utf-8").splitlines():
        yield f"mount {line.split()[1]}"


def _network() -> Iterator[str]:
    for link in json.loads(_said("ip", "-json", "link", "show") or "[]"):
        yield f"link {link['ifname']}"
    for family in ("-4", "-6"):
        for route in json.loads(
            _said("ip", "-json", family, "route", "show", "table", "all") or "[]"
        ):
            yield f"route {route['dst']} {route.get('gateway', '')} {route.get('dev', '')}"
    yield from (f"network namespace {line}" for line in _said("ip", "netns", "list").splitlines())


def _control_groups(cgroups: Path) -> Iterator[str]:
    # A group may disappear meanwhile; `os.walk` tolerates that.
    for folder, groups, _ in os.walk(cgroups):
        yield from (
            f"control group {folder}/{name}"
            for name in groups
            if "firstlight" in name or "docker" in name
        )


def _processes(proc: Path) -> Iterator[str]:
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            marked = any(
                word.startswith(f"{MARK}=".encode()) and b"/docker/" in word
                for word in (entry / "environ").read_bytes().split(b"\0")
            )
        except OSError:
            continue
        name = Path(words[0].decode(errors="replace")).name
        if marked or name in (
            "dockerd",
            "containerd",
            "containerd-shim-runc-v2",
            "machined",
            "kubelet",
        ):
            yield f"process {entry.name} {name}"


def _objects() -> Iterator[str]:
    for kind in ("container", "volume", "network"):
        for name in _said(
            "docker", kind, "ls", "--quiet", *(["--all"] if kind == "container" else [])
        ).split():
            yield f"{kind} {name}"


def _said(*words: str) -> str:
    """Return a command's output; empty if it cannot run."""
    try:
        return subprocess.run(words, check=False, capture_output=True, text=True, timeout=60).stdout
    except OSError:
        return ""
