"""The requirements, the description and the removal of a kind lab.

Only CI creates a real kind cluster, because the node image is available there.
"""

from __future__ import annotations

import json
import os
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from firstlight.checklist import Capability
from firstlight.definition import load
from firstlight.errors import TargetError, ToolMissing
from firstlight.process import run
from firstlight.target.lab import read_lab
from lab.docker.engine import Engine
from lab.docker.host import Host
from lab.kind import ending
from lab.kind.lifecycle import require_engine, require_platform
from lab.kind.status import write_description
from lab.simulated.addresses import Endpoints
from lab.simulated.paths import LabPaths
from tests.docker.fake import FakeEngine
from tests.kind.fake import FakeKind

ROOT = Path(__file__).resolve().parents[2]
HOST = Host(is_root=True, is_restricted=False, cgroup_version=2, routes=())


@pytest.fixture
def paths(tmp_path: Path) -> LabPaths:
    """Return a lab in a checkout that has every tool."""
    made = LabPaths("infra", tmp_path / "labs" / "infra", tmp_path / "checkout", target="kind")
    made.tools.mkdir(parents=True)
    for name in ("kind", "talosctl", "sops"):
        (made.tools / name).touch()
    return made


def test_a_complete_host_is_accepted(paths: LabPaths) -> None:
    require_platform(paths, HOST)


def test_without_kind_the_error_says_how_to_install_it(paths: LabPaths) -> None:
    (paths.tools / "kind").unlink()

    with pytest.raises(ToolMissing, match="kind") as caught:
        require_platform(paths, HOST)

    assert caught.value.next_step == "./task tools:bring TOOLS=kind"


def test_a_host_with_control_groups_of_version_1_is_refused(paths: LabPaths) -> None:
    with pytest.raises(TargetError, match=r"Kubernetes 1\.35 requires control groups of version 2"):
        require_platform(
            paths, Host(is_root=True, is_restricted=False, cgroup_version=1, routes=())
        )


def test_without_an_engine_nothing_is_started(tmp_path: Path) -> None:
    fake = FakeEngine(tmp_path)
    fake.answers(
        "version",
        "null",
        exit_code=1,
        stderr="Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
        "Is the docker daemon running?",
    )

    with pytest.raises(TargetError, match="no container engine answers"):
        require_engine(fake.environment)


def test_a_missing_docker_command_is_named() -> None:
    with pytest.raises(ToolMissing, match="docker"):
        require_engine({"PATH": "/nonexistent"})


def test_the_command_line_explains_an_error_and_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    environment = {
        **os.environ,
        "XDG_STATE_HOME": str(tmp_path),
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
    }

    result = run(
        [ROOT / ".venv/bin/python", "-m", "lab.kind", "up", "--cluster", "nowhere"],
        timeout_s=60,
        env=environment,
        cwd=ROOT,
    )

    assert result.exit_code == 1
    assert result.stderr.startswith("cannot ")
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_description_says_why_talos_is_missing(paths: LabPaths) -> None:
    cluster, engine = load(ROOT, "infra"), Engine({}, "28.0", is_ours=False)
    write_description(
        paths,
        cluster,
        Endpoints(IPv4Address("10.6.0.1"), serves_charts=False),
        "10.6.0.0/24",
        "age1",
        engine,
    )

    target = read_lab(paths.description, "kind", "infra")

    assert target.capabilities == {
        Capability.RUNNING_PODS,
        Capability.DATAPATH,
        Capability.HELM_CONTROLLER,
        Capability.CERT_MANAGER,
    }
    assert target.lacks((Capability.TALOS_API,)) is Capability.TALOS_API
    assert "kubeadm made their control plane" in target.reasons[Capability.TALOS_API]
    assert [stand_in.name for stand_in in target.stand_ins] == [
        "kind",
        "Git server",
        "op stand-in",
        "lab secrets",
    ]
    assert target.kubeconfig == paths.kubeconfig


def test_down_removes_cluster_network_and_every_file(
    paths: LabPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, engine = with_kind(paths, tmp_path), with_engine(tmp_path, monkeypatch)
    engine.answers("container ls", "one\ntwo\n")
    engine.answers("volume ls", "")
    engine.answers("network ls", "net\n")
    for command in ("container rm", "network rm"):
        engine.answers(command, "")
    said: list[str] = []

    assert ending.down(paths, said.append)

    assert kind.calls() == [
        f"delete cluster --name firstlight-infra --kubeconfig {paths.state / 'kind.kubeconfig'}"
    ]
    assert f"network ls --quiet --filter label=firstlight.lab={paths.state}" in engine.calls()
    assert "\nnetwork rm net\n" in engine.calls()
    assert "removed the kind cluster firstlight-infra, 2 containers" in said
    assert not paths.state.parent.exists()


def test_down_without_a_lab_changes_nothing(paths: LabPaths) -> None:
    assert not ending.down(paths, lambda _line: None)


def test_down_without_the_kind_command_keeps_the_state_of_an_existing_cluster(
    paths: LabPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.state.mkdir(parents=True)
    (paths.tools / "kind").unlink()
    with_engine(tmp_path, monkeypatch).answers("container ls", "one\n")

    with pytest.raises(ToolMissing, match="its cluster firstlight-infra is to be removed"):
        ending.down(paths, lambda _line: None)

    assert paths.state.exists()


def with_kind(paths: LabPaths, tmp_path: Path) -> FakeKind:
    """Put a fake kind into the checkout's tools, and create a lab."""
    (tmp_path / "fake-kind").mkdir()
    fake = FakeKind(tmp_path / "fake-kind")
    (paths.tools / "kind").unlink()
    (paths.tools / "kind").symlink_to(fake.folder / "kind")
    (paths.state / "run").mkdir(parents=True)
    return fake


def with_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Put a fake docker on PATH."""
    (tmp_path / "fake-docker").mkdir()
    fake = FakeEngine(tmp_path / "fake-docker")
    fake.answers("version", json.dumps({"Version": "28.0", "ApiVersion": "1.48", "Os": "linux"}))
    monkeypatch.setenv("PATH", fake.environment["PATH"])
    return fake
