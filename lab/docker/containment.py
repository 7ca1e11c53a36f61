"""What must never leave the node containers: Cilium's programs on control groups.

An agent that mounts cgroup2 attaches its socket programs to the root of its control group namespace. A container that shares this
computer's namespace would attach them to this computer's own root: every process here would get Kubernetes' service translation.
"""

from __future__ import annotations

from pathlib import Path

from firstlight.errors import TargetError
from lab.docker.cgroupbpf import attached_programs
from lab.docker.engine import Engine

_CGROUP2 = "cgroup2"


def require_own_cgroup_namespace(
    engine: Engine, container: str, proc: Path = Path("/proc")
) -> None:
    """Make sure that a container has a control group namespace of its own.

    Raises:
        TargetError: It shares this computer's; it is stopped at once.
    """
    seen = _seen(engine, container, proc)
    if seen:
        engine.call("rm", "--force", "--volumes", container)
        raise TargetError(
            f"cannot use the container {container}: {seen}, and Cilium would hang its programs on this computer's own control group",
            next_step="the container is removed; use an engine that knows --cgroupns=private (Docker 20.10 or later)",
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
        # Only root may look at another user's process; then the engine's word has to do.
        return ""
    return f"it shares {here} with this computer" if inside == here else ""


def require_clean_host(mounts: Path = Path("/proc/mounts")) -> str:
    """Make sure that no program of Cilium's hangs on this computer's root control group; return what was looked at.

    Raises:
        TargetError: One does; the message says which and how to repair it.
    """
    root = cgroup2_root(mounts.read_text(encoding="utf-8"))
    if root is None:
        return "this computer has no cgroup2 mount"
    programs = attached_programs(root)
    if programs is None:
        return f"{root} cannot be looked at without root"
    if foreign := [name for name in programs if name.startswith("cil_")]:
        raise TargetError(
            f"cannot go on: Cilium's programs hang on this computer's own control group {root}: {', '.join(foreign)}",
            next_step="./task docker:down removes the agents; then remove the links under /sys/fs/bpf/cilium/socketlb/links/cgroup",
        )
    return f"no program of Cilium's on {root}"


def cgroup2_root(mounts: str) -> Path | None:
    """Return where this computer has its cgroup2 hierarchy, or none."""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) > 2 and fields[2] == _CGROUP2:  # noqa: PLR2004 - device, place, type
            return Path(fields[1])
    return None
