"""A usable engine is found; an unusable one is refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from firstlight.errors import TargetError, ToolMissing
from lab.docker import private_engine
from lab.docker.engine import ask, find_engine
from lab.docker.host import Host
from lab.simulated.paths import LabPaths
from tests.docker.fake import FakeEngine

# The answer of Debian's Docker Engine 20.10.24 to `docker version --format '{{json .Server}}'`,
# reduced to the fields in use.
SERVER = {
    "Version": "20.10.24+dfsg1",
    "ApiVersion": "1.41",
    "MinAPIVersion": "1.12",
    "Os": "linux",
    "Arch": "amd64",
}


@pytest.fixture
def fake(tmp_path: Path) -> FakeEngine:
    return FakeEngine(tmp_path)


def server(**changes: str) -> str:
    return json.dumps({**SERVER, **changes})


@pytest.mark.parametrize("api", ["1.41", "1.44", "1.51"])
def test_engine_20_10_and_later_are_used(fake: FakeEngine, api: str):
    fake.answers("version", server(ApiVersion=api))

    engine = find_engine(fake.environment)

    assert engine is not None
    assert engine.version == "20.10.24+dfsg1"


def test_an_engine_without_control_group_namespaces_is_refused(fake: FakeEngine):
    fake.answers("version", server(Version="19.03.15", ApiVersion="1.40"))

    with pytest.raises(
        TargetError, match=r"cannot use Docker Engine 19\.03\.15: its API is 1\.40"
    ) as caught:
        find_engine(fake.environment)

    assert "20.10" in caught.value.next_step


def test_an_engine_of_windows_containers_is_refused(fake: FakeEngine):
    fake.answers("version", server(Os="windows"))

    with pytest.raises(TargetError, match="it runs windows containers"):
        find_engine(fake.environment)


def test_without_an_answer_there_is_no_engine(fake: FakeEngine):
    fake.answers(
        "version",
        "null",
        exit_code=1,
        stderr="Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is it running?",
    )

    assert find_engine(fake.environment) is None


def test_a_client_that_is_too_new_is_called_again_with_the_engines_api_version(fake: FakeEngine):
    said = (
        "Error response from daemon: client version 1.52 is too new. "
        "Maximum supported API version is 1.41"
    )
    fake.answers("version", "", exit_code=1, stderr=said)

    assert ask(fake.environment, is_ours=False) is None
    assert fake.calls().count("version") == 2


def test_a_missing_docker_command_is_named(tmp_path: Path):
    with pytest.raises(ToolMissing, match="cannot find docker"):
        find_engine({"PATH": str(tmp_path)})


def host(*, is_root: bool = True, is_restricted: bool = False) -> Host:
    return Host(is_root, is_restricted, 1, ())


def test_without_root_the_lab_cannot_start_an_engine(tmp_path: Path):
    paths = LabPaths("infra", tmp_path / "infra", tmp_path, "docker")
    for name in ("dockerd", "containerd", "runc"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)

    with pytest.raises(TargetError, match="only root can start one"):
        private_engine.require_startable(paths, host(is_root=False), {"PATH": str(tmp_path)})


def test_without_a_daemon_the_missing_commands_are_named(tmp_path: Path):
    paths = LabPaths("infra", tmp_path / "infra", tmp_path, "docker")

    with pytest.raises(TargetError, match="not installed") as caught:
        private_engine.require_startable(paths, host(), {"PATH": str(tmp_path)})

    assert "docker.io" in caught.value.next_step


def test_the_private_engine_changes_nothing_on_the_host(tmp_path: Path):
    paths = LabPaths("infra", tmp_path / "infra", tmp_path, "docker")

    argv = private_engine.describe(paths, host()).argv

    assert {"--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"} <= set(
        argv
    )
    for option in ("--data-root", "--exec-root", "--pidfile", "--config-file"):
        assert argv[argv.index(option) + 1].startswith(str(paths.state))
    assert "--default-runtime" not in argv


def test_a_restricted_host_gets_the_restricted_runtime(tmp_path: Path):
    paths = LabPaths("infra", tmp_path / "infra", tmp_path, "docker")

    argv = private_engine.describe(paths, host(is_restricted=True)).argv

    assert argv[argv.index("--default-runtime") + 1] == "restricted"
    assert "runc_shim.py" in (paths.state / "engine" / "restricted-runc").read_text()


def test_the_labs_client_reaches_only_the_labs_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    monkeypatch.setenv("DOCKER_CONTEXT", "elsewhere")
    paths = LabPaths("infra", tmp_path / "infra", tmp_path, "docker")

    environment = private_engine.client_environment(paths)

    assert environment["DOCKER_HOST"].startswith(f"unix://{paths.state}")
    assert "DOCKER_CONTEXT" not in environment
