"""Leftovers of a lab are found by checking this host, not the lab's own records."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lab.simulated.paths import MARK
from tests.docker import remains


def test_a_leftover_process_of_a_lab_is_found():
    before = remains.seen()

    with subprocess.Popen(
        ["sleep", "60"], env={**os.environ, MARK: "/x/firstlight/docker/infra"}
    ) as child:
        left = remains.more(before)
        child.kill()

    assert f"process {child.pid} sleep" in left


def test_a_leftover_mount_and_control_group_are_found(tmp_path: Path):
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "mounts").write_text("overlay /x/docker/infra/engine/merged overlay rw 0 0\n")
    (cgroups / "memory" / "firstlight-infra").mkdir(parents=True)

    seen = remains.seen(proc, cgroups)

    assert "mount /x/docker/infra/engine/merged" in seen
    assert f"control group {cgroups / 'memory' / 'firstlight-infra'}" in seen


def test_links_and_routes_of_this_host_are_found():
    assert {"link lo"} <= remains.seen()
    assert any(fact.startswith("route ") for fact in remains.seen())
