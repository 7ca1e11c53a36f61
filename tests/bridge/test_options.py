"""Wrong usage is refused before anything is touched, with a reason and exit code 4."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.definitions import CHECKOUT
from tests.warm import run_pytest


def pytest_run(*words: str) -> subprocess.CompletedProcess[str]:
    return run_pytest(
        "-p", "no:cacheprovider", *words, folder=CHECKOUT, environment=dict(os.environ)
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("bootstrap_tests",), "cannot run the checklist without a cluster: add --cluster NAME"),
        (
            ("bootstrap_tests", "--stage", "talos"),
            "cannot use --stage alone: it needs --cluster NAME",
        ),
        (
            ("bootstrap_tests", "--target", "nodes"),
            "cannot use --target alone: it needs --cluster NAME",
        ),
        (("bootstrap_tests", "--plan"), "cannot use --plan alone: it needs --cluster NAME"),
        (
            ("bootstrap_tests", "--cluster", "infra", "--target", "moon"),
            "unknown target moon; choose one of simulated, docker, kind, nodes",
        ),
        (
            ("bootstrap_tests", "--cluster", "infra", "-n", "2"),
            "cannot use -n with --cluster: criteria run in order",
        ),
        (
            ("bootstrap_tests", "--cluster", "infra", "-x"),
            "cannot use -x or --maxfail with --cluster",
        ),
        (
            ("bootstrap_tests", "--cluster", "infra", "--stage", "talks"),
            "unknown stage talks; choose one of",
        ),
        (("bootstrap_tests", "--cluster", "nowhere"), "nowhere"),
    ],
    ids=lambda value: "_".join(value[1:]) or "bare" if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_refused_with_a_reason(words: tuple[str, ...], message: str):
    result = pytest_run(*words)

    assert message in result.stdout + result.stderr
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in result.stderr


def test_a_refused_run_leaves_the_last_report_unchanged(tmp_path: Path):
    for name in ("report.html", "report.json"):
        (tmp_path / name).write_text("the last run's")

    result = pytest_run(
        "bootstrap_tests", "--cluster", "infra", "--stage", "talks", "--report-dir", str(tmp_path)
    )

    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "report.html": "the last run's",
        "report.json": "the last run's",
    }


def test_collection_lists_the_checklist_and_does_not_touch_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    result = pytest_run("bootstrap_tests", "--cluster", "infra", "--collect-only", "-q")

    assert result.returncode == 0
    assert "test_10_talos.py::test_etcd_is_bootstrapped_once" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_files_run_in_order_regardless_of_the_command_line():
    result = pytest_run(
        "bootstrap_tests/test_90_timing.py",
        "bootstrap_tests/test_10_talos.py",
        "--cluster",
        "infra",
        "--collect-only",
        "-q",
    )

    lines = [line for line in result.stdout.splitlines() if "::" in line]
    assert lines == sorted(lines, key=lambda line: line.split("::")[0])
    assert len(lines) > 5


def test_a_step_selects_only_its_own_criteria():
    result = pytest_run(
        "bootstrap_tests", "--cluster", "infra", "--stage", "wait-crds", "--collect-only", "-q"
    )

    assert {line.split("[")[0] for line in result.stdout.splitlines() if "::" in line} == {
        "bootstrap_tests/test_30_crds.py::test_crd_is_established"
    }
