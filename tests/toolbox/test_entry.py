"""./task creates its environment from the lock, repairs it, and runs go-task."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Replaces Python, venv and pip: prints its version, creates environments, and "installs" a go-task
# that prints how it was called.
PYTHON = """#!/bin/sh
home={home}
echo "$*" >>"$home/calls"
case "$*" in
  "-c import sys; raise"*) exit {too_old} ;;
  "-c import sysconfig"*) mkdir -p "$home/site"; echo "$home/site" ;;
  "--version") echo "Python 3.9.1" ;;
  "-m venv"*)
    for venv; do :; done
    rm -rf "$venv"; mkdir -p "$venv/bin"; cp "$home/bin/python3" "$venv/bin/python"
    ;;
  "-m pip install"*)
    if [ -f "$home/no-network" ]; then echo "no route" >&2; exit 1; fi
    cp "$home/go-task" "{root}/.venv/bin/task"
    ;;
esac
"""
GO_TASK = '#!/bin/sh\necho "$PATH"; pwd; for word; do echo "[$word]"; done; exit ${CODE:-0}\n'


class Checkout:
    def __init__(self, folder, program, *, too_old=0):
        self.home, self.root = folder / "home", folder / "check out"
        self.root.mkdir(parents=True)
        shutil.copy(ROOT / "task", self.root / "task")
        (self.root / "requirements.lock").write_text("a==1\n")
        program(self.home / "go-task", GO_TASK)
        for name in ("python3", "python3.13", "python3.12", "python3.11", "python3.14", "python"):
            program(
                self.home / "bin" / name,
                PYTHON.format(home=self.home, root=self.root, too_old=too_old),
            )

    def task(self, *arguments, **environ):
        return subprocess.run(
            [self.root / "task", *arguments],
            env={"PATH": f"{self.home / 'bin'}:/usr/bin:/bin", "HOME": str(self.home)} | environ,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self, what):
        return [
            line for line in (self.home / "calls").read_text().splitlines() if line.startswith(what)
        ]


@pytest.fixture
def checkout(tmp_path, program):
    return Checkout(tmp_path, program)


def test_a_first_run_creates_the_environment_and_runs_go_task(checkout):
    result = checkout.task("rehearse", "A=two words")

    path, folder, *words = result.stdout.splitlines()
    assert result.returncode == 0, result.stderr
    assert path.startswith(f"{checkout.root}/.venv/bin:{checkout.root}/.tools/bin:")
    assert folder == str(checkout.root)
    assert words == ["[--exit-code]", "[rehearse]", "[A=two words]"]
    assert "from requirements.lock" in result.stderr
    install = checkout.calls("-m pip install")[0]
    assert all(
        option in install for option in ("--require-hashes", "--no-deps", "--only-binary :all:")
    )
    assert (checkout.home / "site" / "firstlight.pth").read_text() == f"{checkout.root}/src\n"


def test_a_second_run_only_runs_go_task(checkout):
    checkout.task()
    calls = len(checkout.calls(""))

    result = checkout.task("x")

    assert len(checkout.calls("")) == calls
    assert result.stderr == ""


def test_python_keeps_what_it_compiles(checkout, program):
    shown = '#!/bin/sh\necho "${PYTHONDONTWRITEBYTECODE-kept}"\n'
    program(checkout.home / "go-task", shown)

    assert checkout.task("x", PYTHONDONTWRITEBYTECODE="1").stdout == "kept\n"


def test_the_exit_code_is_passed_on(checkout):
    assert checkout.task("x", CODE="7").returncode == 7


def test_a_failed_set_up_is_reported_and_repeated(checkout):
    (checkout.home / "no-network").touch()
    failed = checkout.task()
    (checkout.home / "no-network").unlink()
    result = checkout.task()

    assert failed.returncode == 1
    assert "no route" in failed.stderr
    assert "cannot install requirements.lock" in failed.stderr
    assert "next " in failed.stderr
    assert result.returncode == 0
    assert len(checkout.calls("-m venv")) == 2


def test_a_new_lock_updates_the_existing_environment(checkout):
    checkout.task()
    (checkout.root / "requirements.lock").write_text("a==2\n")

    result = checkout.task()

    assert result.returncode == 0
    assert "updating" in result.stderr
    assert (len(checkout.calls("-m venv")), len(checkout.calls("-m pip"))) == (1, 2)


def test_a_moved_checkout_gets_a_new_environment(checkout):
    checkout.task()
    (checkout.root / ".venv" / "firstlight.root").write_text("/elsewhere\n")

    checkout.task()

    assert len(checkout.calls("-m venv")) == 2


def test_a_python_that_is_too_old_is_reported_with_the_next_step(tmp_path, program):
    result = Checkout(tmp_path, program, too_old=1).task()

    assert "no Python 3.11 or later on PATH (python3 is Python 3.9.1)" in result.stderr


def test_the_script_is_executable_and_valid_bash():
    assert os.access(ROOT / "task", os.X_OK)
    assert subprocess.run(["bash", "-n", ROOT / "task"], check=False).returncode == 0
