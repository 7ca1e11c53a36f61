"""The kind cluster is created once, and never with the operator's own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.errors import FirstlightError, TargetError
from lab.kind.cluster import ensure
from lab.simulated.paths import LabPaths
from tests.kind.fake import FakeKind

CONFIG = "kind: Cluster\n"


@pytest.fixture
def paths(tmp_path: Path) -> LabPaths:
    state = tmp_path / "state"
    state.mkdir()
    return LabPaths("infra", state, tmp_path, target="kind")


@pytest.fixture
def fake(tmp_path: Path) -> FakeKind:
    (tmp_path / "fake").mkdir()
    return FakeKind(tmp_path / "fake")


def test_a_cluster_is_created_on_the_labs_network_with_its_own_kubeconfig(
    fake: FakeKind, paths: LabPaths
) -> None:
    said: list[str] = []
    file, own = paths.state / "kind.yaml", fake.kind.kubeconfig

    assert ensure(fake.kind, CONFIG, paths, said.append)

    assert fake.calls() == [
        "get clusters",
        f"create cluster --name firstlight-infra --config {file} --kubeconfig {own} --wait 0s",
    ]
    assert fake.variables() == {"docker firstlight-infra-kind"}
    assert file.read_text() == CONFIG
    assert " ✓ Preparing nodes 📦" in said


def test_an_existing_cluster_is_left_alone(fake: FakeKind, paths: LabPaths) -> None:
    ensure(fake.kind, CONFIG, paths, print_nothing)

    assert not ensure(fake.kind, CONFIG, paths, print_nothing)

    assert fake.calls()[-1] == "get clusters"


def test_a_cluster_whose_creation_was_killed_is_recreated(fake: FakeKind, paths: LabPaths) -> None:
    fake.is_there()

    assert ensure(fake.kind, CONFIG, paths, print_nothing)

    assert [call.split(" --")[0] for call in fake.calls()] == [
        "get clusters",
        "delete cluster",
        "create cluster",
    ]


def test_a_cluster_whose_creation_failed_is_recreated(fake: FakeKind, paths: LabPaths) -> None:
    fake.cannot_create()
    with pytest.raises(FirstlightError, match="cannot create the kind cluster firstlight-infra"):
        ensure(fake.kind, CONFIG, paths, print_nothing)
    (fake.folder / "create.code").unlink()

    assert ensure(fake.kind, CONFIG, paths, print_nothing)

    assert [call.split(" --")[0] for call in fake.calls()] == [
        "get clusters",
        "create cluster",
        "get clusters",
        "delete cluster",
        "create cluster",
    ]


def test_a_cluster_from_another_definition_is_not_touched(fake: FakeKind, paths: LabPaths) -> None:
    ensure(fake.kind, CONFIG, paths, print_nothing)

    with pytest.raises(TargetError, match="it was created from another definition") as caught:
        ensure(fake.kind, CONFIG + "nodes: []\n", paths, print_nothing)

    assert caught.value.next_step == "./task kind:down CLUSTER=infra, then try again"
    assert fake.calls()[-1] == "get clusters"


def print_nothing(_line: str) -> None:
    """Ignore a line."""
