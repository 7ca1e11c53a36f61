"""The lab's command line: exit codes, and errors that name the next step."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from firstlight.process import CommandResult, run
from lab.simulated.paths import lab_paths
from tests.lab.support import CALL_S, ROOT, python_environment


def call(tmp_path: Path, *words: str) -> CommandResult:
    argv = [sys.executable, "-m", "lab.simulated", *words]
    return run(
        argv, timeout_s=CALL_S, env=python_environment({"XDG_STATE_HOME": str(tmp_path)}), cwd=ROOT
    )


def test_the_status_of_a_missing_lab_has_its_own_exit_code(tmp_path: Path):
    result = call(tmp_path, "status", "--cluster", "infra")

    assert result.exit_code == 3
    assert result.stdout.startswith("lab of infra: down\n")
    assert "(does not exist)" in result.stdout
    assert result.stderr == ""


def test_ending_a_missing_lab_succeeds(tmp_path: Path):
    result = call(tmp_path, "down")

    assert result.ok
    assert "nothing to remove" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("env", "--cluster", "apps"), "./task simulated:up CLUSTER=apps"),
        (("logs",), "cannot show logs of infra: no logs yet"),
        (("status", "--cluster", "../infra"), "cannot name a lab '../infra'"),
    ],
)
def test_errors_go_to_standard_error(tmp_path: Path, words: tuple[str, ...], says: str):
    result = call(tmp_path, *words)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert says in result.stderr


def test_logs_are_shown_with_path_and_last_lines(tmp_path: Path):
    paths = lab_paths("infra", environ={"XDG_STATE_HOME": str(tmp_path)})
    paths.logs.mkdir(parents=True)
    (paths.logs / "machines.log").write_text("".join(f"line {number}\n" for number in range(100)))
    (paths.logs / "git-server.log").write_text("listening\n")

    every, one = (
        call(tmp_path, "logs", "--lines", "2"),
        call(tmp_path, "logs", "machines", "--lines", "1"),
    )

    assert every.stdout.splitlines() == [
        f"==> {paths.logs / 'git-server.log'}",
        "listening",
        f"==> {paths.logs / 'machines.log'}",
        "line 98",
        "line 99",
    ]
    assert one.stdout.splitlines()[1:] == ["line 99"]


@pytest.mark.parametrize("words", [(), ("explode",), ("up", "--cluster")])
def test_wrong_arguments_are_a_usage_error(tmp_path: Path, words: tuple[str, ...]):
    assert call(tmp_path, *words).exit_code == 2
