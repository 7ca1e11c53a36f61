"""Files are written whole or not at all, and private from their first byte on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from firstlight.files import write_atomically


def test_a_file_is_made_with_its_folder_private(tmp_path: Path):
    path = tmp_path / "folder" / "file"

    write_atomically(path, "text")

    assert path.read_text() == "text"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_bytes_are_written_as_they_are(tmp_path: Path):
    write_atomically(tmp_path / "file", b"\x1f\x8b\xff")

    assert (tmp_path / "file").read_bytes() == b"\x1f\x8b\xff"


def test_a_file_that_others_could_read_is_replaced_by_a_private_one(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)

    write_atomically(path, "new")

    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)


def test_it_is_private_before_anything_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
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
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
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


def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path):
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
