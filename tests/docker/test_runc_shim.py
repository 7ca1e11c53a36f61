"""The shim removes from a bundle what a restricted host refuses, and nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from firstlight.process import run
from lab.docker.runc_shim import permitted

SHIM = Path(__file__).resolve().parents[2] / "lab" / "docker" / "runc_shim.py"
PROCESS = {
    "args": ["/sbin/init"],
    "capabilities": {
        "bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"],
        "permitted": ["CAP_SYS_RESOURCE"],
    },
    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1048576, "soft": 1048576}],
    "oomScoreAdj": -500,
}


def test_capability_limits_and_a_lower_oom_score_are_removed():
    assert permitted(PROCESS) == {
        "args": ["/sbin/init"],
        "capabilities": {"bounding": ["CAP_CHOWN"], "permitted": []},
    }


def test_a_higher_oom_score_is_kept():
    assert permitted({"oomScoreAdj": 100})["oomScoreAdj"] == 100


@pytest.mark.parametrize(
    "words",
    [
        ["create", "--bundle", "{bundle}", "id"],
        ["create", "--bundle={bundle}", "id"],
        ["create", "-b", "{bundle}", "id"],
    ],
)
def test_a_bundle_is_edited_before_runc_gets_the_same_arguments(tmp_path: Path, words: list[str]):
    (tmp_path / "config.json").write_text(json.dumps({"ociVersion": "1.0.2", "process": PROCESS}))
    runc = tmp_path / "runc"
    runc.write_text('#!/bin/sh\necho "runc $@"\n')
    runc.chmod(0o755)
    filled = [word.format(bundle=tmp_path) for word in words]

    result = run([sys.executable, "-I", SHIM, runc, *filled], timeout_s=30)

    assert result.stdout.strip() == " ".join(["runc", *filled])
    assert json.loads((tmp_path / "config.json").read_text()) == {
        "ociVersion": "1.0.2",
        "process": permitted(PROCESS),
    }


def test_the_process_of_an_exec_is_edited(tmp_path: Path):
    (tmp_path / "process.json").write_text(json.dumps(PROCESS))

    run(
        [
            sys.executable,
            "-I",
            SHIM,
            "/bin/true",
            "exec",
            "--process",
            tmp_path / "process.json",
            "id",
        ],
        timeout_s=30,
    )

    assert json.loads((tmp_path / "process.json").read_text()) == permitted(PROCESS)
