"""What of a Debian root goes into an image, and from which mirror it comes."""

import shutil

import pytest

from firstlight.errors import TargetError
from lab.docker.images import debian


def paths(root, **more):
    return {entry.path for entry in debian.entries_of(root, **more)}


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    for file in (
        "usr/bin/tool",
        "usr/share/doc/tool/README",
        "var/log/apt/history.log",
        "var/cache/apt/a.deb",
        "dev/null",
        "etc/machine-id",
        "etc/fstab",
    ):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(file)
    (root / "bin").symlink_to("usr/bin")
    return root


def test_an_image_has_no_logs_caches_devices_or_identity(root):
    found = paths(root)

    assert {"usr/bin/tool", "etc/fstab", "bin", "var/log", "dev"} <= found
    assert not found & {"usr/share/doc/tool/README", "var/log/apt/history.log", "var/cache/apt/a.deb", "dev/null", "etc/machine-id"}


def test_a_link_is_taken_as_it_is_and_not_followed(root):
    (link,) = [entry for entry in debian.entries_of(root) if entry.path == "bin"]

    assert link.link == "usr/bin"
    assert "bin/tool" not in paths(root)


def test_beyond_another_root_only_what_differs_is_taken(root, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, symlinks=True)
    (copy / "usr/bin/clang").write_text("new")
    (copy / "etc/fstab").write_text("changed")

    assert paths(copy, beyond=root) == {"usr/bin/clang", "etc/fstab"}


@pytest.mark.parametrize(
    ("file", "text", "mirror"),
    [
        ("sources.list", "deb [signed-by=/k] http://mirror.example/debian trixie main\n", "http://mirror.example/debian"),
        ("sources.list.d/debian.sources", "Types: deb\nURIs: https://mirror.example/debian\nSuites: x\n", "https://mirror.example/debian"),
        ("sources.list", "deb http://mirror.example/debian-security trixie-security main\n", ""),
        ("sources.list", "# deb http://mirror.example/debian trixie main\n", ""),
    ],
)
def test_a_debian_computer_uses_its_own_mirror(tmp_path, file, text, mirror):
    (tmp_path / "apt/sources.list.d").mkdir(parents=True)
    (tmp_path / "os-release").write_text('NAME="Debian"\nID=debian\n')
    (tmp_path / "apt" / file).write_text(text)

    assert debian.configured_mirror(tmp_path) == mirror


def test_another_computer_leaves_the_mirror_to_debootstrap(tmp_path):
    (tmp_path / "apt").mkdir()
    (tmp_path / "os-release").write_text("ID=ubuntu\n")
    (tmp_path / "apt/sources.list").write_text("deb http://mirror.example/debian trixie main\n")

    assert debian.configured_mirror(tmp_path) == ""


def test_without_debootstrap_the_refusal_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 0)

    with pytest.raises(TargetError, match="debootstrap is not installed") as caught:
        debian.make_root(tmp_path / "root", None)

    assert "apt-get install debootstrap" in caught.value.next_step


def test_without_root_the_refusal_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(TargetError, match="needs to be root"):
        debian.make_root(tmp_path / "root", None)
