"""The environment determines where a lab is, and a cluster's name cannot escape that folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.errors import TargetError
from lab.simulated.paths import MARK, lab_paths, private_dir


@pytest.mark.parametrize(
    ("environ", "state"),
    [
        ({"HOME": "/home/me"}, "/home/me/.local/state/firstlight/simulated/infra"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": "/var/me"}, "/var/me/firstlight/simulated/infra"),
        # Inside a lab, HOME is the lab's own. The mark determines where labs are kept.
        (
            {"HOME": "/x/firstlight/simulated/apps/home", MARK: "/x/firstlight/simulated/apps"},
            "/x/firstlight/simulated/infra",
        ),
    ],
)
def test_the_state_folder_follows_the_environment(environ: dict[str, str], state: str):
    assert lab_paths("infra", environ=environ).state == Path(state)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../infra", "a/b", "Infra", "-infra", "infra-", "in fra"]
)
def test_an_invalid_cluster_name_is_refused(name: str):
    with pytest.raises(TargetError, match="cannot name a lab"):
        lab_paths(name, environ={"HOME": "/home/me"})


def test_an_existing_folder_is_made_private(tmp_path: Path):
    (tmp_path / "open").mkdir(mode=0o755)

    assert private_dir(tmp_path / "open").stat().st_mode & 0o777 == 0o700
