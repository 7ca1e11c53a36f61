"""A lab belongs to the checkout that made it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from firstlight.errors import TargetError
from lab.docker.status import heading
from lab.simulated import status
from lab.simulated.description import owner, require_own
from lab.simulated.paths import LabPaths
from tests.lab.support import ROOT


@pytest.fixture
def theirs(paths: LabPaths, tmp_path: Path) -> LabPaths:
    """The lab of another checkout."""
    other = tmp_path / "other"
    other.mkdir()
    paths.description.write_text(json.dumps({"checkout": str(other)}))
    return paths


def quietly(_text: str) -> None:
    """Print nothing."""


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"checkout": 1}'])
def test_a_lab_that_was_never_up_belongs_to_nobody(paths: LabPaths, content: str | None):
    if content is not None:
        paths.description.write_text(content)

    assert owner(paths) is None
    require_own(paths, quietly, take_over=False)
    assert status.observe(paths).lines[2] == "  owner      nobody yet"


def test_ones_own_lab_is_used(paths: LabPaths):
    paths.description.write_text(json.dumps({"checkout": str(ROOT)}))

    require_own(paths, quietly, take_over=False)

    assert status.observe(paths).lines[2] == f"  owner      {ROOT} (this checkout)"


@pytest.mark.parametrize("target", ["simulated", "docker", "kind"])
def test_the_lab_of_another_checkout_is_refused_with_its_owner_and_both_ways_out(
    theirs: LabPaths, target: str
):
    with pytest.raises(TargetError) as caught:
        require_own(replace(theirs, target=target), quietly, take_over=False)

    assert caught.value.message == (
        "cannot bring up the lab of infra: it belongs to another checkout\n"
        f"  owner     {owner(theirs)} (another checkout)"
    )
    assert caught.value.next_step == (
        f"to continue with it here: ./task {target}:up CLUSTER=infra TAKE_OVER=1, then run the "
        f"same again; to start over: ./task {target}:down CLUSTER=infra"
    )


def test_the_lab_of_a_checkout_that_was_moved_is_taken_over(theirs: LabPaths):
    made_by = owner(theirs)
    assert made_by is not None
    made_by.rmdir()
    said: list[str] = []

    with pytest.raises(TargetError, match=r"  owner     .*/other \(which is no longer there\)"):
        require_own(theirs, said.append, take_over=False)
    require_own(theirs, said.append, take_over=True)

    assert said == [f"taking over the lab of infra from the checkout {made_by}"]


def test_the_status_of_every_lab_names_its_owner(theirs: LabPaths):
    line = f"  owner      {owner(theirs)} (another checkout)"

    assert line in status.observe(theirs).lines
    assert line in heading(theirs, None, {}, is_up=False)
