"""The choices of a docker lab, and which of them an existing lab keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.errors import TargetError
from lab.docker.settings import Settings, choose, keep
from lab.simulated.paths import LabPaths


@pytest.fixture
def paths(tmp_path: Path) -> LabPaths:
    return LabPaths("infra", tmp_path / "infra", tmp_path, "docker")


def test_the_default_is_three_and_three_machines_on_their_own_network(paths: LabPaths):
    chosen = choose(paths, {}, fresh=False)

    assert (chosen.control_planes, chosen.workers, str(chosen.network), chosen.images) == (
        3,
        3,
        "10.5.0.0/24",
        "auto",
    )


def test_an_existing_lab_keeps_its_choices(paths: LabPaths):
    keep(paths, Settings("1+1", "10.9.0.0/24", "mirror"))

    assert choose(paths, {}, fresh=False) == Settings("1+1", "10.9.0.0/24", "mirror")


def test_an_existing_lab_refuses_other_choices(paths: LabPaths):
    keep(paths, Settings("1+1", "10.9.0.0/24", "mirror"))

    with pytest.raises(TargetError, match="it was created with 1\\+1"):
        choose(paths, {"FIRSTLIGHT_DOCKER_NODES": "3+3"}, fresh=False)


def test_a_fresh_lab_forgets_the_old_choices(paths: LabPaths):
    keep(paths, Settings("1+1", "10.9.0.0/24", "mirror"))

    assert choose(paths, {"FIRSTLIGHT_DOCKER_NODES": "3+3"}, fresh=True) == Settings(
        "3+3", "10.5.0.0/24", "auto"
    )


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("NODES", "three", "cannot make 'three' nodes"),
        ("NODES", "0+3", "cannot make '0\\+3' nodes"),
        ("SUBNET", "10.5.0.0", "at least 16 addresses"),
        ("SUBNET", "10.5.0.1/24", "has host bits set"),
        ("SUBNET", "8.8.8.0/24", "must be a private network"),
        ("SUBNET", "10.5.0.0/30", "at least 16 addresses"),
        ("IMAGES", "somewhere", "cannot take images from 'somewhere'"),
    ],
)
def test_an_invalid_choice_is_refused(paths: LabPaths, variable: str, value: str, says: str):
    with pytest.raises(TargetError, match=says):
        choose(paths, {f"FIRSTLIGHT_DOCKER_{variable}": value}, fresh=False)
