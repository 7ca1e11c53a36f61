"""The cilium CLI of the connectivity test comes with the offline image set."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.errors import TargetError
from firstlight.toolbox import Places, load_pins
from firstlight.toolbox.digest import bin_folder
from lab.docker.images.image_set import bring_cli

VERSIONS = Path(__file__).parents[2] / "tools"


def places_in(tmp_path: Path) -> Places:
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "tools").symlink_to(VERSIONS)
    (tmp_path / "checkout" / "lab").symlink_to(VERSIONS.parent / "lab")
    return Places(root=tmp_path / "checkout", cache=tmp_path / "cache")


def test_a_fresh_checkout_gets_the_cli_that_was_built_before(tmp_path: Path):
    places = places_in(tmp_path)
    pins = load_pins(places.versions)
    program = bin_folder(pins.builds["cilium-cli"], pins, places) / "cilium"
    program.parent.mkdir(parents=True)
    program.touch()

    bring_cli(places)

    assert (places.bin / "cilium").readlink() == program


def test_a_cli_that_was_never_built_is_said_with_the_next_step(tmp_path: Path):
    with pytest.raises(TargetError, match="cannot find the cilium CLI") as caught:
        bring_cli(places_in(tmp_path))

    assert caught.value.next_step == "./task lab:images"
