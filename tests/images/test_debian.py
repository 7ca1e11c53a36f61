"""What an image takes from a Debian root."""

import shutil

import pytest

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
    assert not found & {
        "usr/share/doc/tool/README",
        "var/log/apt/history.log",
        "var/cache/apt/a.deb",
        "dev/null",
        "etc/machine-id",
    }


def test_a_link_is_copied_and_not_followed(root):
    (link,) = [entry for entry in debian.entries_of(root) if entry.path == "bin"]

    assert link.link == "usr/bin"
    assert "bin/tool" not in paths(root)


def test_only_differences_from_another_root_are_taken(root, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, symlinks=True)
    (copy / "usr/bin/clang").write_text("new")
    (copy / "etc/fstab").write_text("changed")

    assert paths(copy, beyond=root) == {"usr/bin/clang", "etc/fstab"}
