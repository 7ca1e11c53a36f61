"""Layers are reproducible bit for bit, and written atomically."""

import gzip
import hashlib
import tarfile
from pathlib import Path

import pytest

from lab.docker.images.layers import Entry, kept_layer, key_of, make_layer


def entries(folder):
    program = folder / "program"
    program.write_bytes(b"\x7fELF and more")
    return [
        Entry("usr/bin/program", source=program),
        Entry("etc/motd", data=b"hello\n", mode=0o644),
        Entry("tmp", folder=True, mode=0o1777),
        Entry("usr/bin/alias", link="program", mode=0o777),
        Entry("home/user", folder=True, uid=1000, gid=1000),
    ]


def test_the_same_content_gives_the_same_layer_at_any_time_and_in_any_order(tmp_path, here):
    wanted = entries(tmp_path)
    first = make_layer("one", wanted, here)
    wanted[0].source.touch()

    second = make_layer("two", list(reversed(wanted)), here)

    assert second == first
    assert key_of(reversed(wanted)) == key_of(wanted)


def test_a_layer_is_named_after_its_content(tmp_path, here):
    layer = make_layer("one", entries(tmp_path), here)

    packed = layer.file(here).read_bytes()

    assert layer.digest == f"sha256:{hashlib.sha256(packed).hexdigest()}"
    assert layer.diff_id == f"sha256:{hashlib.sha256(gzip.decompress(packed)).hexdigest()}"
    assert layer.size == len(packed)


def test_a_layer_has_files_folders_links_modes_and_owners(tmp_path, here):
    layer = make_layer("one", entries(tmp_path), here)

    with tarfile.open(layer.file(here)) as archive:
        found = {member.name: member for member in archive}
        content = archive.extractfile("usr/bin/program").read()

    assert list(found) == sorted(found)
    assert content == b"\x7fELF and more"
    assert (found["tmp"].isdir(), found["tmp"].mode) == (True, 0o1777)
    assert (found["usr/bin/alias"].issym(), found["usr/bin/alias"].linkname) == (True, "program")
    assert (found["home/user"].uid, found["home/user"].gid) == (1000, 1000)
    assert {member.mtime for member in found.values()} == {0}


def test_another_mode_content_or_program_gives_another_key(tmp_path):
    program = tmp_path / "program"
    program.write_bytes(b"one")
    keys = {
        key_of([entry])
        for entry in (
            Entry("a", data=b"1"),
            Entry("a", data=b"2"),
            Entry("a", data=b"1", mode=0o644),
            Entry("a", source=program),
        )
    }
    program.write_bytes(b"longer")

    assert len(keys | {key_of([Entry("a", source=program)])}) == 5


def test_a_stored_layer_is_found_again_and_a_lost_or_truncated_one_is_not(tmp_path, here):
    layer = make_layer("one", entries(tmp_path), here)

    assert kept_layer("one", here) == layer
    assert kept_layer("other", here) is None
    layer.file(here).write_bytes(b"cut")
    assert kept_layer("one", here) is None
    layer.file(here).unlink()
    assert kept_layer("one", here) is None


def test_an_interrupted_layer_leaves_nothing_behind(tmp_path, here):
    wanted = [Entry("a", data=b"1"), Entry("b", source=Path(tmp_path / "absent"))]

    with pytest.raises(FileNotFoundError):
        make_layer("one", wanted, here)

    assert kept_layer("one", here) is None
    assert list(here.layers.iterdir()) == []
