"""The offline image set includes the cilium CLI for the connectivity test."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.errors import TargetError
from firstlight.toolbox import ToolboxPaths, load_pins
from firstlight.toolbox.fingerprint import bin_folder
from lab.docker.images.image_set import bring_cli

VERSIONS = Path(__file__).parents[2] / "tools"


def paths_in(tmp_path: Path) -> ToolboxPaths:
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "tools").symlink_to(VERSIONS)
    (tmp_path / "checkout" / "lab").symlink_to(VERSIONS.parent / "lab")
    return ToolboxPaths(root=tmp_path / "checkout", cache=tmp_path / "cache")


def test_a_fresh_checkout_links_the_cli_that_was_built_before(tmp_path: Path):
    paths = paths_in(tmp_path)
    pins = load_pins(paths.versions)
    program = bin_folder(pins.builds["cilium-cli"], pins, paths) / "cilium"
    program.parent.mkdir(parents=True)
    program.touch()

    bring_cli(paths)

    assert (paths.bin / "cilium").readlink() == program


def test_a_missing_cli_is_reported_with_the_next_step(tmp_path: Path):
    with pytest.raises(TargetError, match="cannot find the cilium CLI") as caught:
        bring_cli(paths_in(tmp_path))

    assert caught.value.next_step == "./task lab:images"
