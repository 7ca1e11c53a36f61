"""The mirror of a Debian root, and the errors when debootstrap cannot run."""

import io
import os

import pytest

from firstlight.errors import TargetError
from firstlight.toolbox.progress import PlainDisplay
from lab.docker.images import debian


@pytest.fixture
def display():
    return PlainDisplay(io.StringIO())


@pytest.fixture
def as_root(tmp_path, monkeypatch):
    """Act as root on a host that has only the commands of the test."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("file", "text", "mirror"),
    [
        (
            "sources.list",
            "deb [signed-by=/k] http://mirror.example/debian trixie main\n",
            "http://mirror.example/debian",
        ),
        (
            "sources.list.d/debian.sources",
            "Types: deb\nURIs: https://mirror.example/debian\nSuites: x\n",
            "https://mirror.example/debian",
        ),
        ("sources.list", "deb http://mirror.example/debian-security trixie-security main\n", ""),
        ("sources.list", "# deb http://mirror.example/debian trixie main\n", ""),
    ],
)
def test_a_debian_host_uses_its_own_mirror(tmp_path, file, text, mirror):
    (tmp_path / "apt/sources.list.d").mkdir(parents=True)
    (tmp_path / "os-release").write_text('NAME="Debian"\nID=debian\n')
    (tmp_path / "apt" / file).write_text(text)

    assert debian.configured_mirror(tmp_path) == mirror


def test_another_host_uses_debootstraps_default_mirror(tmp_path):
    (tmp_path / "apt").mkdir()
    (tmp_path / "os-release").write_text("ID=ubuntu\n")
    (tmp_path / "apt/sources.list").write_text("deb http://mirror.example/debian trixie main\n")

    assert debian.configured_mirror(tmp_path) == ""


def test_without_debootstrap_the_error_says_how_to_install_it(as_root, display):
    with pytest.raises(TargetError, match="debootstrap is not installed") as caught:
        debian.make_root(as_root / "root", display, 0)

    assert "apt-get install debootstrap" in caught.value.next_step


def test_without_root_the_error_says_so(tmp_path, monkeypatch, display):
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(TargetError, match="needs to be root"):
        debian.make_root(tmp_path / "root", display, 0)


def test_debootstrap_inherits_the_lock_and_its_last_output_is_shown(as_root, display, tmp_path):
    failure = "echo no mirror >&2; exit 7"
    for name, text in (
        ("debootstrap", ""),
        (
            "unshare",
            f"echo $* > {tmp_path}/words\nls -l /proc/self/fd > {tmp_path}/open\n{failure}",
        ),
    ):
        (as_root / name).write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{text}\n")
        (as_root / name).chmod(0o755)
    lock = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)

    with pytest.raises(TargetError) as caught:
        debian.make_root(tmp_path / "root", display, lock)

    os.close(lock)
    assert "unshare exited 7" in caught.value.message
    assert "no mirror" in caught.value.message
    assert (
        "--mount --propagation private debootstrap --variant=minbase"
        in (tmp_path / "words").read_text()
    )
    assert f"{tmp_path}/lock" in (tmp_path / "open").read_text()
