"""Files are written whole or not at all, and private from their first byte on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from firstlight.files import write_atomically

WRITING = (
    "import sys; from pathlib import Path; from firstlight.files import write_atomically; "
    "write_atomically(Path(sys.argv[1]), 'theirs')"
)


def test_a_file_and_its_folder_are_created_private(tmp_path: Path):
    path = tmp_path / "folder" / "file"

    write_atomically(path, "text")

    assert path.read_text() == "text"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_bytes_are_written_unchanged(tmp_path: Path):
    write_atomically(tmp_path / "file", b"\x1f\x8b\xff")

    assert (tmp_path / "file").read_bytes() == b"\x1f\x8b\xff"


def test_a_readable_file_is_replaced_by_a_private_one(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)

    write_atomically(path, "new")

    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)


def test_the_mode_is_set_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[tuple[int, int]] = []
    fchmod = os.fchmod
    monkeypatch.setattr(
        os,
        "fchmod",
        lambda descriptor, mode: (
            seen.append((os.fstat(descriptor).st_size, mode)),
            fchmod(descriptor, mode),
        ),
    )

    write_atomically(tmp_path / "file", "secret", mode=0o640)

    assert seen == [(0, 0o640)]


@pytest.mark.parametrize("broken", ["fsync", "fchmod"])
def test_a_failed_write_leaves_only_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, broken, fail)

    with pytest.raises(OSError, match="No space left on device"):
        write_atomically(path, "new")

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_of_killed_writers_are_removed_but_not_those_of_live_ones(tmp_path: Path):
    path = tmp_path / "kubeconfig"
    code = f"""
import os, signal
from pathlib import Path
from firstlight.files import write_atomically

Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
write_atomically(Path({str(path)!r}), "secret")
"""
    dead = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    (left,) = tmp_path.iterdir()
    living = tmp_path / f".kubeconfig.{os.getpid()}.abcd_123"
    others = tmp_path / ".kubeconfig-apps.1.abcd_123"
    for file in (living, others):
        file.write_text("")

    write_atomically(path, "whole")

    assert dead.returncode == -signal.SIGKILL
    assert not left.exists()
    assert {file.name for file in tmp_path.iterdir()} == {path.name, living.name, others.name}


def test_a_file_gets_its_mode_and_replaces_all_of_the_old_one(tmp_path: Path):
    for text in ("old and long", "new"):
        write_atomically(tmp_path / "file", text, mode=0o640)

    assert (tmp_path / "file").read_text() == "new"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_without_a_mode_the_umask_decides(tmp_path: Path):
    path = tmp_path / "folder" / "file"
    before = os.umask(0o027)
    try:
        write_atomically(path, "text", mode=None)
    finally:
        os.umask(before)

    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o640, 0o750)


def test_two_concurrent_writers_do_not_disturb_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path, replace = tmp_path / "report.json", Path.replace

    def late(partial: Path, target: Path) -> Path:
        subprocess.run([sys.executable, "-c", WRITING, str(path)], check=True, timeout=60)
        assert path.read_text() == "theirs"
        return replace(partial, target)

    monkeypatch.setattr(Path, "replace", late)

    write_atomically(path, "ours")

    assert path.read_text() == "ours"
    assert list(tmp_path.iterdir()) == [path]
