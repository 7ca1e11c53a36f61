"""No Cilium program reaches this host's own control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.docker.containment import cgroup2_root, require_clean_host

HYBRID = """tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""


@pytest.mark.parametrize(
    ("mounts", "root"),
    [
        (HYBRID, Path("/sys/fs/cgroup/unified")),
        ("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n", Path("/sys/fs/cgroup")),
        ("cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n", None),
    ],
)
def test_the_unified_hierarchy_is_found_wherever_it_is_mounted(mounts: str, root: Path | None):
    assert cgroup2_root(mounts) == root


def test_this_host_is_clean():
    assert require_clean_host()


def test_without_a_unified_hierarchy_there_is_nothing_to_attach_to(tmp_path: Path):
    mounts = tmp_path / "mounts"
    mounts.write_text("proc /proc proc rw 0 0\n")

    assert require_clean_host(mounts) == "this computer has no cgroup2 mount"
